/**
 * Keys of a watch in the configuration: what is watched, and the handler that runs at each change.
 *
 * Source: the public reference of watches.
 */
import { type KeyTable, section, used } from './config-spec.ts'

export const WATCH_KEYS: KeyTable = {
  type: used('string', 'What is watched, as for `hanse watch -type`'),
  key: used('string', 'Of type key'),
  prefix: used('string', 'Of type keyprefix'),
  name: used('string', 'Of type event: only events of that name'),
  service: used('string', 'Of types service, checks and connect_leaf'),
  service_id: used('string', 'Of type agent_service'),
  tag: used('strings', 'Of type service: only instances with these tags'),
  passingonly: used('bool', 'Of type service: only instances that pass their checks', { default: 'false' }),
  state: used('string', 'Of type checks: only checks in this state'),
  filter: used('string', 'Of types services, nodes, service and checks'),
  datacenter: used('string', 'Datacenter that is asked', { default: 'datacenter' }),
  token: used('string', 'Token of the questions; the default one when missing', { secret: true }),
  handler_type: used('string', '`script` or `http`', { default: '"script"' }),
  args: used('strings', 'Program and its arguments, without a shell'),
  handler: used('string', 'Old: a command line for `sh -c`'),
  http_handler_config: section('What is called', {
    path: used('string', 'URL', { secret: true }),
    method: used('string', 'HTTP method', { default: '"POST"' }),
    header: used('lists by name', 'HTTP headers to send', { secret: true }),
    timeout: used('duration', 'Time that a call has', { default: '"10s"' }),
    tls_skip_verify: used('bool', 'Take any certificate', { default: 'false' }),
  }),
}
