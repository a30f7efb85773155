/**
 * What a check does, as it travels with the check. Durations are nanoseconds on the wire and text in JSON.
 */
import { formatDuration, parseDuration } from '#base'
import { codecError } from '../errors.ts'
import { bool, jsonOmitEmpty, type Kind, list, map, string, struct, uint, withJson } from '../schema.ts'
import { durationNs } from './common.ts'

/** Nanoseconds; "10s" in JSON, where a bare number is nanoseconds too. */
export const jsonDuration: Kind<number> = withJson(durationNs, {
  toJson: formatDuration,
  fromJson: (json, path) => {
    if (json === null || json === '') return 0
    const ns = typeof json === 'number' ? json : typeof json === 'string' ? parseDuration(json) : undefined
    if (ns === undefined) throw codecError('JSON_TYPE', { wanted: 'duration', got: typeof json, path })
    return ns
  },
})

export const HealthCheckDefinition = struct('HealthCheckDefinition', {
  Interval: jsonOmitEmpty(jsonDuration),
  OutputMaxSize: jsonOmitEmpty(uint),
  Timeout: jsonOmitEmpty(jsonDuration),
  DeregisterCriticalServiceAfter: jsonOmitEmpty(jsonDuration),
  HTTP: jsonOmitEmpty(string),
  TLSServerName: jsonOmitEmpty(string),
  TLSSkipVerify: jsonOmitEmpty(bool),
  Header: jsonOmitEmpty(map(list(string))),
  Method: jsonOmitEmpty(string),
  Body: jsonOmitEmpty(string),
  DisableRedirects: jsonOmitEmpty(bool),
  TCP: jsonOmitEmpty(string),
  TCPUseTLS: jsonOmitEmpty(bool),
  UDP: jsonOmitEmpty(string),
  H2PING: jsonOmitEmpty(string),
  OSService: jsonOmitEmpty(string),
  H2PingUseTLS: jsonOmitEmpty(bool),
  ScriptArgs: jsonOmitEmpty(list(string)),
  DockerContainerID: jsonOmitEmpty(string),
  Shell: jsonOmitEmpty(string),
  GRPC: jsonOmitEmpty(string),
  GRPCUseTLS: jsonOmitEmpty(bool),
  AliasNode: jsonOmitEmpty(string),
  AliasService: jsonOmitEmpty(string),
  TTL: jsonOmitEmpty(jsonDuration),
})
export type HealthCheckDefinition = ReturnType<typeof HealthCheckDefinition.of>
