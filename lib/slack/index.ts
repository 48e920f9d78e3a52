/** The public face of Slack. */
export { Slack, type SlackSettings, slackLink, slackText } from './slack.js'
