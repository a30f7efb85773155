/**
 * client/: the HTTP client that everything but the server itself talks through.
 */
export { clientError } from './errors.ts'
export {
  type ApiAnswer,
  type ClientTls,
  HttpClient,
  type HttpClientOptions,
  MAX_ANSWER_BYTES,
  type Query,
  type RequestOptions,
  segment,
} from './http-client.ts'
