/**
 * Internal.KeyringOperation: gossip keys of all pools at once.
 *
 * The server that is asked runs its WAN and LAN pools and asks every other datacenter to run its LAN pool
 * (`Forwarded`). A pool or datacenter that fails is an entry with `Error`; the others' answers are not lost.
 */
import { messageOf } from '#base'
import { KeyringRequest, KeyringResponse, KeyringResponses } from '#codec'
import type { KeyOperations, KeyringResult } from '#gossip'
import { endpointError } from './errors.ts'
import { type CallContext, callOperation } from './operation.ts'

/** Longest time for another datacenter's answer; the others' wait for it. */
const OTHER_DATACENTER_TIMEOUT_MS = 20_000
const MAX_RELAY_FACTOR = 5

const WIRE = { name: 'Internal.KeyringOperation', args: KeyringRequest, reply: KeyringResponses }

export const keyringOperation = callOperation({
  ...WIRE,
  scope: 'here',
  authorize({ Operation }, rights) {
    if (Operation === 'list') rights.need(rights.allows.keyringRead(), 'keyring:read')
    else rights.need(rights.allows.keyringWrite(), 'keyring:write')
  },
  async run(context, args) {
    check(args)
    const { lan, wan } = context.ports.keyring
    const here = args.Forwarded || args.LocalOnly
    const tasks = [
      ...(here || wan === undefined ? [] : [runPool(context, wan, args, true)]),
      runPool(context, lan, args, false),
      ...(here ? [] : others(context).map((datacenter) => askOther(context, datacenter, args))),
    ]
    return KeyringResponses.of({ Responses: (await Promise.all(tasks)).flat(), KnownLeader: true })
  },
})

function check({ Operation, LocalOnly, RelayFactor }: KeyringRequest): void {
  if (!['list', 'install', 'use', 'remove'].includes(Operation)) {
    throw endpointError('INVALID_REQUEST', { text: `Invalid keyring operation "${Operation}"` })
  }
  if (LocalOnly && Operation !== 'list') {
    throw endpointError('INVALID_REQUEST', { text: `Cannot ${Operation} key: LocalOnly is for listing only` })
  }
  if (RelayFactor > MAX_RELAY_FACTOR) {
    throw endpointError('INVALID_REQUEST', { text: 'Relay factor must be in range: [0, 5]' })
  }
}

const others = ({ router, datacenter }: CallContext): readonly string[] =>
  router.datacenters().filter((name) => name !== datacenter)

async function runPool(
  { datacenter }: CallContext,
  keys: KeyOperations,
  args: KeyringRequest,
  WAN: boolean,
): Promise<readonly KeyringResponse[]> {
  try {
    const result = await operate(keys, args)
    return [
      KeyringResponse.of({
        WAN,
        Datacenter: datacenter,
        Messages: result.messages,
        Keys: result.keys,
        PrimaryKeys: result.primaryKeys,
        NumNodes: result.numNodes,
        Error: result.error ?? '',
      }),
    ]
  } catch (error) {
    return [failure(datacenter, WAN, error)]
  }
}

function operate(keys: KeyOperations, { Operation, Key, RelayFactor }: KeyringRequest): Promise<KeyringResult> {
  const options = { relayFactor: RelayFactor }
  if (Operation === 'install') return keys.install(Key, options)
  if (Operation === 'use') return keys.use(Key, options)
  if (Operation === 'remove') return keys.remove(Key, options)
  return keys.list(options)
}

async function askOther(
  context: CallContext,
  datacenter: string,
  args: KeyringRequest,
): Promise<readonly KeyringResponse[]> {
  try {
    const to = { datacenter, timeoutMs: OTHER_DATACENTER_TIMEOUT_MS }
    const reply = await context.ask(WIRE, { ...args, Datacenter: '', Forwarded: true }, to)
    return reply.Responses ?? []
  } catch (error) {
    return [failure(datacenter, false, error)]
  }
}

function failure(Datacenter: string, WAN: boolean, error: unknown): KeyringResponse {
  return KeyringResponse.of({ WAN, Datacenter, Messages: {}, Keys: {}, PrimaryKeys: {}, Error: messageOf(error) })
}
