/**
 * A limit on everything that can grow: name with its unit last, default, and the reason for the number.
 * The table in the documentation is generated from this object; `doctor` prints it.
 */
export interface Limit {
  readonly value: number
  readonly unit: string
  readonly reason: string
}

export const limitTable = {
  // sockets
  hostFrameBytesMax: {
    value: 104_857_600,
    unit: 'bytes',
    reason: 'images and videos travel inside calls as base64, up to 50 MB of raw bytes each',
  },
  clientFrameBytesMax: {
    value: 4_194_304,
    unit: 'bytes',
    reason: 'a browser sends answers; files go by upload',
  },
  frameDepthMax: { value: 64, unit: 'levels', reason: 'deeper JSON is an attack on recursive code' },
  ioCallBytesMax: { value: 83_886_080, unit: 'bytes', reason: 'one call with one inlined 50 MB file' },
  logLineCharactersMax: {
    value: 10_200,
    unit: 'characters',
    reason: 'the SDK cuts at 10,000 and adds a notice',
  },
  logCharactersPerTransactionMax: {
    value: 4_194_304,
    unit: 'characters',
    reason: 'all lines of one transaction together; they are in memory while it is active',
  },
  logLinesPerTransactionMax: {
    value: 10_000,
    unit: 'lines',
    reason: 'a runaway loop must not fill the disk',
  },
  logIndexMax: {
    value: 1_000_000_000,
    unit: 'lines',
    reason: 'the history counts lines in 32 bits; a line beyond it goes to the end',
  },
  hostMessagesPerSecondMax: {
    value: 1_024,
    unit: 'messages/s',
    reason: 'as the original; answers are not counted',
  },
  clientMessagesPerSecondMax: {
    value: 50,
    unit: 'messages/s',
    reason: 'as the original; a person types slower',
  },
  socketSendBufferBytesMax: {
    value: 16_777_216,
    unit: 'bytes',
    reason: 'a reader this far behind is dropped; larger single frames are allowed through',
  },
  socketsPerNodeMax: { value: 20_000, unit: 'sockets', reason: 'memory: 40 KB each' },
  authenticationMsMax: {
    value: 10_000,
    unit: 'ms',
    reason: 'SDKs give up after 10 to 15 s without `authenticated`',
  },
  pingIntervalMs: {
    value: 30_000,
    unit: 'ms',
    reason: 'as the SDKs; keeps middleboxes from closing idle sockets',
  },
  clientSilentMsMax: { value: 60_000, unit: 'ms', reason: 'two missed pongs' },
  hostSilentMsMax: { value: 180_000, unit: 'ms', reason: 'SDKs themselves give up after 180 s' },
  // calls
  hostCallMsMax: {
    value: 20_000,
    unit: 'ms',
    reason: 'hosts answer at once; handlers run in the background',
  },
  clientCallMsMax: { value: 15_000, unit: 'ms', reason: 'what a person waits for' },
  hostCallsPendingMax: {
    value: 4_096,
    unit: 'calls',
    reason: 'calls to one host it has not answered; more means it is stuck',
  },
  hostCallsRunningMax: {
    value: 8_192,
    unit: 'calls',
    reason: 'calls of one host held or being worked on; beyond it the socket is closed',
  },
  heldResponsesPerHostMax: {
    value: 4_096,
    unit: 'responses',
    reason: 'answers a host has not confirmed, kept for its next connection',
  },
  heldResponsesBytesMax: {
    value: 8_388_608,
    unit: 'bytes',
    reason: 'answers to hosts are `true` or small objects',
  },
  // entities
  mailboxMessagesMax: {
    value: 1_024,
    unit: 'messages',
    reason: 'waiting for one entity; more means its owner cannot keep up',
  },
  entitiesInMemoryMax: {
    value: 20_000,
    unit: 'entities',
    reason: 'the least recently used leaves memory first',
  },
  entityIdleMs: {
    value: 15_000,
    unit: 'ms',
    reason: 'an idle entity leaves memory and comes back on its next message',
  },
  entityRecordBytesMax: {
    value: 83_886_080,
    unit: 'bytes',
    reason: 'the largest single thing stored is an IO call',
  },
  componentsPerCallMax: { value: 1_000, unit: 'components', reason: 'fields and displays of one IO group' },
  openGroupsPerTransactionMax: {
    value: 256,
    unit: 'groups',
    reason: 'unanswered IO groups and displays kept on screen',
  },
  displayBytesPerTransactionMax: {
    value: 33_554_432,
    unit: 'bytes',
    reason: 'displays kept for a reload; the oldest go first',
  },
  inputBytesPerTransactionMax: {
    value: 167_772_160,
    unit: 'bytes',
    reason: 'steps that wait for an answer, all of a run together; two of the largest',
  },
  pagesPerClientMax: { value: 32, unit: 'pages', reason: 'open live pages of one browser window' },
  transactionsPerClientMax: {
    value: 1_024,
    unit: 'transactions',
    reason: 'runs one window looks at; the dashboard has one at a time, scripts have more',
  },
  actionsPerHostMax: { value: 5_000, unit: 'actions', reason: 'actions and pages one host may declare' },
  hostsPerDirectoryMax: {
    value: 20_000,
    unit: 'hosts',
    reason: 'hosts of one environment, those included that went less than the grace ago',
  },

  // organizations
  invitationsPerOrganizationMax: {
    value: 500,
    unit: 'invitations',
    reason: 'that wait to be followed; each is a mail to a stranger',
  },
  invitationMailsPerDayMax: {
    value: 1_000,
    unit: 'mails/day',
    reason:
      'of one organization, to addresses that anybody in it may name: nobody sends unwanted mail through here',
  },
  apiKeysPerOrganizationMax: {
    value: 1_000,
    unit: 'keys',
    reason: 'that are not revoked; a list shows them all',
  },
  teamsPerOrganizationMax: {
    value: 500,
    unit: 'teams',
    reason: 'their checkboxes are shown side by side',
  },
  environmentsPerOrganizationMax: {
    value: 50,
    unit: 'environments',
    reason: 'each has a directory of its own; menus list them all',
  },

  // HTTP hosts
  httpHostsPerOrganizationMax: {
    value: 100,
    unit: 'HTTP hosts',
    reason: 'each is asked every five minutes, and every half minute while it cannot be reached',
  },
  httpHostCheckMs: {
    value: 300_000,
    unit: 'ms',
    reason: 'as the original: how often one that answers is asked',
  },
  httpHostUnreachableCheckMs: {
    value: 30_000,
    unit: 'ms',
    reason: 'as the original: how often one that does not answer is asked',
  },
  httpHostAnswerMsMax: {
    value: 25_000,
    unit: 'ms',
    reason: 'a declaration takes a cold start; less than the time between two checks',
  },
  httpHostRequestMsMax: {
    value: 60_000,
    unit: 'ms',
    reason: 'as the original: from the request for a run to the socket that takes it',
  },
  httpHostRequestsMax: {
    value: 5_000,
    unit: 'requests',
    reason: 'for runs of one HTTP host, of the last minute',
  },
  httpHostRunMsMax: {
    value: 3_900_000,
    unit: 'ms',
    reason:
      'the request that woke a host stays open while it runs; no platform lets one last longer than an hour',
  },
  httpHostRunsPerNodeMax: {
    value: 1_000,
    unit: 'requests',
    reason: 'requests to HTTP hosts that one node has open; a socket and some KB each',
  },
  httpHostRunsPerOriginMax: {
    value: 500,
    unit: 'requests',
    reason: 'of those, to one address: the others have room left',
  },
  commitQueueBytesMax: {
    value: 268_435_456,
    unit: 'bytes',
    reason: 'commits waiting for the disk or for replicas; beyond it writers wait',
  },
  partitionQueueBytesMax: {
    value: 16_777_216,
    unit: 'bytes',
    reason: 'those of one partition, so that one that waits for a replica does not stop the others',
  },
  diskFreeBytesMin: {
    value: 67_108_864,
    unit: 'bytes',
    reason: 'below it nothing new is taken, so that what runs can end and LevelDB can merge its tables',
  },
  copiesAwayMsMax: {
    value: 5_000,
    unit: 'ms',
    reason:
      'what a browser or caller writes is refused when its copies do not answer for longer; a death is settled within 4 s',
  },
  outboxRowsMax: {
    value: 200_000,
    unit: 'rows',
    reason: 'history waiting for Postgres; when full, new transactions are refused',
  },
  // between nodes
  peerMessageBytesMax: {
    value: 201_326_592,
    unit: 'bytes',
    reason:
      'one message to another node; more than twice the largest record, which JSON within JSON may double',
  },
  peerQueueBytesMax: {
    value: 268_435_456,
    unit: 'bytes',
    reason: 'messages waiting for one other node; more are refused to the sender',
  },
  peerQueueMessagesMax: {
    value: 16_384,
    unit: 'messages',
    reason: 'messages waiting for one other node, and calls of one being answered',
  },
  // waiting
  hostGraceMs: { value: 600_000, unit: 'ms', reason: 'SDKs retry for ever; a deploy takes minutes' },
  clientGraceMs: {
    value: 600_000,
    unit: 'ms',
    reason: 'as the original: then an action that is not backgroundable is cancelled',
  },
  silentRunMsMax: {
    value: 86_400_000,
    unit: 'ms',
    reason: 'a run that computes without a word for a day is ended as unknown',
  },
  silentAfterReconnectMsMax: {
    value: 3_600_000,
    unit: 'ms',
    reason: 'its completion may have been lost with a connection: SDKs do not repeat it',
  },
  pageGraceMs: {
    value: 60_000,
    unit: 'ms',
    reason: 'a page whose window is gone is closed at its host; reloads are faster',
  },
  completedRetentionMs: {
    value: 600_000,
    unit: 'ms',
    reason: 'a finished transaction stays on its owner this long, then history alone has it',
  },
  // accounts
  passwordHashesMax: {
    value: 2,
    unit: 'at once',
    reason: 'each takes a core for a third of a second; one is kept for people who have been here before',
  },
  passwordHashQueueMax: {
    value: 32,
    unit: 'waiting',
    reason:
      'a login flood is answered 429 before memory is spent; who waits does so for 15 s, longer behind people known here',
  },
  loginFailuresPerAccountMax: { value: 10, unit: 'in 10 min', reason: 'guessing one account' },
  signUpsPerAddressMax: {
    value: 300,
    unit: 'accounts/10 min',
    reason: 'each costs a hash, an organization and a mail; a class that signs up together',
  },
  sessionsPerPersonMax: {
    value: 1_000,
    unit: 'sessions',
    reason: 'a script that signs in anew each time; the ones used longest ago end',
  },
  loginFailuresPerAddressMax: {
    value: 50,
    unit: 'in 10 min',
    reason: 'spraying many accounts from one address',
  },
  refusalRowsPerMinuteMax: {
    value: 300,
    unit: 'rows/min',
    reason: 'audit rows about refusing one person or address; more are counted and told in one',
  },
  identityGraceMs: {
    value: 300_000,
    unit: 'ms',
    reason: 'a proof of identity counts for so long where the action does not say otherwise',
  },
  passwordResetMsMax: { value: 1_800_000, unit: 'ms', reason: 'a link for a new password, from a mail' },
  emailConfirmationsMax: {
    value: 10,
    unit: 'in 10 min',
    reason: 'links to one person that prove an address',
  },
  organizationsOwnedMax: { value: 20, unit: 'organizations', reason: 'of one person, made in the dashboard' },
  sessionIdleMsMax: { value: 1_209_600_000, unit: 'ms', reason: '14 days without use' },
  sessionAbsoluteMsMax: { value: 7_776_000_000, unit: 'ms', reason: '90 days' },
  revocationCheckMs: {
    value: 3_000,
    unit: 'ms',
    reason: 'sockets of a revoked key or session close within 5 s',
  },
  // timers and schedules
  timerCallsMax: { value: 1_024, unit: 'calls', reason: 'of timers, being made by one node; a socket each' },
  timerCallsPerReceiverMax: {
    value: 128,
    unit: 'calls',
    reason: 'of those, to one receiver: one that answers nobody delays no other',
  },
  timerCallsWaitingMax: {
    value: 4_096,
    unit: 'calls',
    reason: 'due, and waiting in memory for their turn; what is beyond them waits in its index on disk',
  },
  timerCallBytesMax: {
    value: 67_108_864,
    unit: 'bytes',
    reason: 'data of all timers that wait in memory or are being called; the others wait on disk',
  },
  timerResponseMs: {
    value: 30_000,
    unit: 'ms',
    reason: 'for a receiver to answer, where a timer does not say',
  },
  timerFailedKeptMs: {
    value: 604_800_000,
    unit: 'ms',
    reason: 'timers with retries that have failed are kept a week to be looked at and called again',
  },
  timerIdCharactersMax: {
    value: 256,
    unit: 'characters',
    reason: 'ids that callers choose, in paths and headers',
  },
  schedulesPerActionMax: { value: 100, unit: 'schedules', reason: 'nobody fills the ring with them' },
  scheduleRunsMax: {
    value: 100,
    unit: 'runs',
    reason: 'of one schedule side by side, or made up for after everything was down',
  },
  scheduleRunsKeptMax: {
    value: 50,
    unit: 'runs',
    reason: 'ended ones the schedule itself remembers; the history has more',
  },
  scheduleTickLateMsMax: {
    value: 60_000,
    unit: 'ms',
    reason: 'a tick taken later was missed; a restart or a take-over is shorter',
  },
  scheduleStartMsMax: {
    value: 600_000,
    unit: 'ms',
    reason: 'a run waits so long for a host; no longer than an ended transaction stays on its owner',
  },
  scheduleHistoryDays: {
    value: 90,
    unit: 'days',
    reason: 'one that runs each second writes 86,400 rows a day',
  },
  // mails
  mailsWaitingMax: {
    value: 5_000,
    unit: 'mails',
    reason: 'of one organization, waiting to be sent; more are refused. Those about accounts have as many',
  },
  mailBytesMax: { value: 262_144, unit: 'bytes', reason: 'text and HTML of one mail together' },
  mailSweepMs: { value: 2_000, unit: 'ms', reason: 'how often a node looks for mails that are due' },
  mailsAtOnceMax: { value: 4, unit: 'mails', reason: 'being sent by one node; a connection each' },
  mailSendMsMax: { value: 60_000, unit: 'ms', reason: 'for the mail server to take one mail' },
  mailLeaseMs: {
    value: 120_000,
    unit: 'ms',
    reason:
      'a node that has taken a mail and died keeps others from it for so long; longer than sending may take',
  },
  mailRetryMsMax: {
    value: 3_600_000,
    unit: 'ms',
    reason: 'between two attempts; the first comes after 15 s',
  },
  mailDeadlineMs: {
    value: 86_400_000,
    unit: 'ms',
    reason: 'then a mail has failed, and administrators see it',
  },
  mailsKeptDays: { value: 30, unit: 'days', reason: 'in the outbox, sent or not' },
  // notifications
  notificationLeaseMs: {
    value: 60_000,
    unit: 'ms',
    reason: 'a node that has taken a delivery and died keeps others from it for so long',
  },
  notificationsPerHourMax: {
    value: 100,
    unit: 'notifications/h',
    reason: 'of one organization to one recipient: an action in a loop; more have failed',
  },
  noticesPerTransactionMax: {
    value: 20,
    unit: 'notices',
    reason: 'by which a run in the background tells its person that it waits for them',
  },
  // what is forgotten
  forgottenRowsMax: { value: 200, unit: 'rows', reason: 'removed by one statement; each run with its log' },
  forgottenNamesMax: {
    value: 20,
    unit: 'names',
    reason: 'removed by one statement, during which no history is written',
  },
  forgetEveryMs: { value: 600_000, unit: 'ms', reason: 'one of the nodes looks for what is too old' },
  // queue
  queueItemsMax: { value: 10_000, unit: 'items', reason: 'waiting in one environment; a host in a loop' },
  // history
  historyValueCharactersMax: {
    value: 16_384,
    unit: 'characters',
    reason: 'of one value that was entered, as the history keeps it; a longer one is left out',
  },
  historyInputCharactersMax: {
    value: 262_144,
    unit: 'characters',
    reason: 'of all that was entered in one run, as the history keeps it',
  },
  historyCountMax: { value: 10_000, unit: 'runs', reason: 'counted for a list; of more it says "more than"' },
  historyExportRowsMax: { value: 100_000, unit: 'runs', reason: 'in one export; narrow it down by time' },
  historyExportsMax: {
    value: 4,
    unit: 'exports',
    reason: 'being made by one node at once, of one organization one',
  },
  historyExportMsMax: {
    value: 600_000,
    unit: 'ms',
    reason: 'reading one export: 100,000 runs at 170 a second',
  },
  // requests to others
  outboundSocketsPerOriginMax: {
    value: 128,
    unit: 'sockets',
    reason: 'to one receiver at once; more wait, and hold up nobody else',
  },
  outboundSocketsMax: { value: 1_024, unit: 'sockets', reason: 'to all receivers at once; file handles' },
  outboundWaitingMax: {
    value: 16_384,
    unit: 'requests',
    reason: 'waiting for a socket, each within its own time; more are refused',
  },
  outboundIdleMsMax: {
    value: 4_000,
    unit: 'ms',
    reason: 'a kept connection is closed before a Node server closes it, after 5 s',
  },
  outboundLookupsMax: {
    value: 256,
    unit: 'names',
    reason: 'being resolved at once; half of the pool of threads does it, four',
  },
  outboundUrlCharactersMax: { value: 8_192, unit: 'characters', reason: 'what common servers take' },
  outboundHeaderBytesMax: { value: 16_384, unit: 'bytes', reason: 'the head of an answer' },
  outboundThrownAwayBytesMax: {
    value: 65_536,
    unit: 'bytes',
    reason: 'read of a body nobody wants, to keep the connection; then it is cut',
  },
  outboundInformationMax: { value: 16, unit: 'answers', reason: 'provisional ones (1xx) to one request' },
  // uploads
  uploadBytesMax: {
    value: 33_554_432,
    unit: 'bytes',
    reason: 'a file on the disk of a node alone, or in the records of a ring',
  },
  uploadS3BytesMax: { value: 5_368_709_120, unit: 'bytes', reason: 'a file in S3: what one PUT takes there' },
  uploadChunkBytes: {
    value: 262_144,
    unit: 'bytes',
    reason: 'of a file in one record of a ring; written a few at a time, so that others come in between',
  },
  uploadFilesPerFieldMax: { value: 100, unit: 'files', reason: 'one field asks for as many links at once' },
  uploadFilesPerTransactionMax: {
    value: 500,
    unit: 'files',
    reason: 'links given to one transaction; its owner remembers each',
  },
  uploadBytesPerTransactionMax: {
    value: 268_435_456,
    unit: 'bytes',
    reason: 'files of one transaction that the nodes themselves keep; eight of the largest',
  },
  uploadFilesPerOrganizationMax: {
    value: 10_000,
    unit: 'files',
    reason: 'kept for one organization at a time; a record each in one entity',
  },
  uploadBytesPerOrganizationMax: {
    value: 4_294_967_296,
    unit: 'bytes',
    reason: 'files of one organization that the nodes themselves keep, so that nobody fills the disk of all',
  },
  uploadLinkMs: {
    value: 3_600_000,
    unit: 'ms',
    reason:
      'as the original: a link to send a file to is good for an hour; what was not sent by then is removed',
  },
  uploadKeptMs: {
    value: 172_800_000,
    unit: 'ms',
    reason: 'as promised by the original: a file can be read for 48 hours, and for as long as its run lasts',
  },
  uploadRunCheckMs: {
    value: 21_600_000,
    unit: 'ms',
    reason: 'how often a file that is older asks whether its run goes on',
  },
  uploadMsMax: { value: 600_000, unit: 'ms', reason: 'sending one file: the largest at 55 KB/s' },
  uploadStalledMsMax: {
    value: 30_000,
    unit: 'ms',
    reason: 'without a byte of a file that is being sent or read',
  },
  uploadsPerNodeMax: {
    value: 64,
    unit: 'files',
    reason: 'being received by one node at once, and as many being sent; a few chunks of each in memory',
  },
  uploadAttemptsMax: { value: 20, unit: 'attempts', reason: 'to send one file' },
  // sign-on and directories
  emailDomainsPerOrganizationMax: { value: 50, unit: 'domains', reason: 'a company has a few' },
  signOnGroupsMax: {
    value: 500,
    unit: 'groups',
    reason: 'of a provider that lead to teams of an organization',
  },
  directoryUsersMax: { value: 50_000, unit: 'users', reason: 'of one directory; a large company' },
  directoryGroupsMax: { value: 1_000, unit: 'groups', reason: 'of one directory; each is a team' },
  // http
  requestBodyBytesMax: { value: 1_048_576, unit: 'bytes', reason: 'JSON bodies' },
  apiRequestsPerMinuteMax: {
    value: 1_200,
    unit: 'requests/min',
    reason: 'of one session, token or key on one node; a busy window makes 60',
  },
  apiRequestsPerAddressPerMinuteMax: {
    value: 12_000,
    unit: 'requests/min',
    reason: 'from one address: an office behind one router has many people',
  },
  apiCallersMax: { value: 20_000, unit: 'callers', reason: 'whose requests are counted; 100 bytes each' },
  accessTokensPerPersonMax: { value: 50, unit: 'tokens', reason: 'more than anybody keeps track of' },
  requestMsMax: { value: 30_000, unit: 'ms', reason: 'slow requests' },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limitTable
export type Limits = { readonly [Name in LimitName]: number }

/** The default value of each limit. */
export const limits: Limits = Object.fromEntries(
  Object.entries(limitTable).map(([name, limit]) => [name, limit.value]),
) as Limits
