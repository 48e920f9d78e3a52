/** Every IO method this version knows, by the name hosts use. A new one is a file and a line here. */
import { boolean } from './boolean.js'
import { code } from './code.js'
import { confirm } from './confirm.js'
import { confirmIdentity } from './confirm-identity.js'
import { credentials } from './credentials.js'
import { date, dateTime, time } from './date-time.js'
import { email } from './email.js'
import { grid } from './grid.js'
import { heading } from './heading.js'
import { link } from './link.js'
import { image, video } from './media.js'
import { metadata } from './metadata.js'
import type { Method } from './method.js'
import { number } from './number.js'
import { object } from './object.js'
import { progressIndeterminate, progressSteps, progressThroughList } from './progress.js'
import { richText } from './rich-text.js'
import { search } from './search.js'
import { selectMultiple } from './select-multiple.js'
import { selectSingle } from './select-single.js'
import { slider } from './slider.js'
import { spreadsheet } from './spreadsheet.js'
import { displayTable, selectTable } from './table.js'
import { text } from './text.js'
import { unknown } from './unknown.js'
import { upload } from './upload.js'
import { url } from './url.js'
import { html, markdown } from './words.js'

const methods: Readonly<Record<string, Method>> = {
  INPUT_TEXT: text,
  INPUT_EMAIL: email,
  INPUT_NUMBER: number,
  INPUT_BOOLEAN: boolean,
  INPUT_URL: url,
  INPUT_SLIDER: slider,
  INPUT_DATE: date,
  INPUT_TIME: time,
  INPUT_DATETIME: dateTime,
  INPUT_RICH_TEXT: richText,
  INPUT_SPREADSHEET: spreadsheet,
  UPLOAD_FILE: upload,
  SEARCH: search,
  SELECT_SINGLE: selectSingle,
  SELECT_MULTIPLE: selectMultiple,
  SELECT_TABLE: selectTable,
  CONFIRM: confirm,
  CONFIRM_IDENTITY: confirmIdentity,
  CREDENTIALS: credentials,
  DISPLAY_HEADING: heading,
  DISPLAY_MARKDOWN: markdown,
  DISPLAY_HTML: html,
  DISPLAY_CODE: code,
  DISPLAY_LINK: link,
  DISPLAY_IMAGE: image,
  DISPLAY_VIDEO: video,
  DISPLAY_OBJECT: object,
  DISPLAY_METADATA: metadata,
  DISPLAY_TABLE: displayTable,
  DISPLAY_GRID: grid,
  DISPLAY_PROGRESS_STEPS: progressSteps,
  DISPLAY_PROGRESS_INDETERMINATE: progressIndeterminate,
  DISPLAY_PROGRESS_THROUGH_LIST: progressThroughList,
}

/** The method of that name, or the one that says it is unknown. */
export function methodOf(name: string): Method {
  return Object.hasOwn(methods, name) ? (methods[name] ?? unknown) : unknown
}
