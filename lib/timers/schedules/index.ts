/** Schedules of actions. See README.md beside this file. */
export {
  Calendar,
  type IntervalUnit,
  intervalUnits,
  type ScheduleTimes,
} from './calendar.js'
export * from './definition.js'
export { type Prepared, ScheduleRuns, type ScheduleRunsOptions } from './runs.js'
export {
  type RunEnded,
  runsIn,
  type ScheduleMessage,
  type ScheduleRead,
  type ScheduleState,
  scheduleKind,
} from './schedule.js'
export { Schedules, type SchedulesOptions, timesOf } from './schedules.js'
