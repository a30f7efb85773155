/**
 * watch/: what is asked of an agent again and again, and what is done with each answer that differs: by `hanse watch`, and
 * by the agent for its own configuration.
 */
export { watchError } from './errors.ts'
export { type Ask, type FollowOptions, follow, type WatchAnswer, watched } from './follow.ts'
export { callHandler, DEFAULT_HANDLER_TIMEOUT_MS, type HttpHandler } from './http-handler.ts'
export { questionOf, WATCH_TYPES, type WatchedQuestion, type WatchParameters } from './question.ts'
export { runHandler, type ScriptHandler, type ScriptIo } from './script-handler.ts'
