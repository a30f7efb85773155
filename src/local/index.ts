/**
 * local/: `npm start`, a whole federation on one machine. Knows the servers only by their command line and HTTP API.
 */
export { localError } from './errors.ts'
export { freePorts } from './free-ports.ts'
export { type UpOptions, up } from './up.ts'
