/** Keys of the store: where a server's data is kept. Hanse's own; Consul has no such section. */
import { type KeyTable, section, used } from './config-spec.ts'

export const STORE_KEYS: KeyTable = {
  store: section('Where the data of the datacenter is kept', {
    engine: used('string', '`sqlite` (one server), or `etcd` (one or several)', {
      default: '`etcd` with endpoints or with bootstrap_expect of 2 and more, else `sqlite`',
    }),
    etcd: section('etcd: one that you name, or one member that each server runs beside itself', {
      endpoints: used(
        'strings',
        'Client URLs of an etcd that you run; without them each server runs a member of its own',
      ),
      prefix: used('string', 'Keys of this datacenter begin so', { default: '"hanse/<datacenter>/"' }),
      ca_file: used('string', 'CA of the certificates that the named etcd shows (PEM)'),
      cert_file: used('string', "This server's certificate for the named etcd (PEM)"),
      key_file: used('string', 'Its private key (PEM)'),
      server_name: used('string', 'Name that the certificates of the named etcd have, if not that of the endpoint'),
      binary: used('string', 'etcd 3.4 or newer, for a member beside the server', { default: '"etcd", found in PATH' }),
      advertise_host: used('string', 'Address or DNS name at which other members reach the own one', {
        default: 'advertise_addr',
      }),
      client_port: used('int', 'Port of the own member for servers', { default: '2379' }),
      peer_port: used('int', 'Port of the own member for other members', { default: '2380' }),
    }),
  }),
}
