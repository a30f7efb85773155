/**
 * What a client sees go wrong. The text of API_STATUS is what Consul's tools print and match on.
 */
import { errorTable } from '#base'

export const clientError = errorTable({
  API_STATUS: {
    status: 500,
    message: ({ statusCode, body }: { statusCode: number; body: string; method: string; path: string }) =>
      `Unexpected response code: ${statusCode} (${body})`,
  },
  API_UNREACHABLE: {
    status: 500,
    message: ({ method, url, reason }: { method: string; url: string; reason: string }) =>
      `${method} "${url}": ${reason}`,
    hint: () => 'is the agent running there? Set its address with -http-addr or CONSUL_HTTP_ADDR',
  },
  API_TIMEOUT: {
    status: 500,
    message: ({ method, url, timeoutMs }: { method: string; url: string; timeoutMs: number }) =>
      `${method} "${url}": no answer in ${timeoutMs} ms`,
  },
  API_NOT_JSON: {
    status: 500,
    message: ({ method, url }: { method: string; url: string }) => `${method} "${url}": the answer is not JSON`,
    hint: () => 'what listens there may be no agent: compare the address',
  },
  API_TOO_LARGE: {
    status: 500,
    message: ({ method, url, limitBytes }: { method: string; url: string; limitBytes: number }) =>
      `${method} "${url}": the answer is larger than ${limitBytes} bytes`,
  },
  ADDRESS_INVALID: {
    status: 400,
    message: ({ address }: { address: string }) =>
      `HTTP address "${address}": not host:port, http://…, https://… or unix://…`,
  },
})
