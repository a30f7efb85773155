/**
 * Vivaldi: where nodes settle, and what cannot move them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { CoordinateClient, coordinateDistanceS, isValidCoordinate, originCoordinate } from './coordinates.ts'

test('a fresh coordinate is what peers send: zeros, error 1.5, height 1e-5', () => {
  assert.deepEqual(new CoordinateClient(seededRandom(1)).coordinate, {
    Vec: [0, 0, 0, 0, 0, 0, 0, 0],
    Error: 1.5,
    Adjustment: 0,
    Height: 1e-5,
  })
})

test('update() moves a handful of nodes to where their distances are the measured times', () => {
  const random = seededRandom(2)
  // Two sites 40 ms apart, 1 ms within each.
  const nodes = Array.from({ length: 8 }, (_, index) => ({ site: index % 2, client: new CoordinateClient(random) }))
  const rttS = (a: number, b: number) => (nodes[a]?.site === nodes[b]?.site ? 0.001 : 0.04)
  for (let round = 0; round < 4000; round++) {
    const a = random.int(nodes.length)
    const b = (a + 1 + random.int(nodes.length - 1)) % nodes.length
    const other = nodes[b]?.client.coordinate ?? originCoordinate()
    nodes[a]?.client.update(`n${b}`, other, rttS(a, b) * (0.95 + random.float() * 0.1))
  }
  const between = (a: number, b: number) =>
    coordinateDistanceS(
      nodes[a]?.client.coordinate ?? originCoordinate(),
      nodes[b]?.client.coordinate ?? originCoordinate(),
    )
  assert.ok(Math.abs(between(0, 1) - 0.04) < 0.008, `${between(0, 1)}`)
  assert.ok(between(0, 2) < 0.008, `${between(0, 2)}`)
})

test('update() refuses times and coordinates that cannot be', () => {
  const client = new CoordinateClient(seededRandom(3))
  assert.equal(client.update('a', originCoordinate(), -1), false)
  assert.equal(client.update('a', originCoordinate(), 11), false)
  assert.equal(client.update('a', originCoordinate(), Number.NaN), false)
  assert.equal(client.update('a', { ...originCoordinate(), Height: Number.POSITIVE_INFINITY }, 1), false)
  assert.equal(client.update('a', { ...originCoordinate(), Vec: [1] }, 1), false)
  assert.deepEqual(client.coordinate, originCoordinate())
})

test('one slow answer does not move a coordinate far: the median of three counts', () => {
  const client = new CoordinateClient(seededRandom(4))
  for (let i = 0; i < 50; i++) client.update('a', originCoordinate(), 0.001)
  const before = client.coordinate
  client.update('a', originCoordinate(), 9)
  assert.ok(coordinateDistanceS(before, client.coordinate) < 0.01)
})

test('a coordinate that runs away is reset and counted', () => {
  const client = new CoordinateClient(seededRandom(5))
  client.update('a', { ...originCoordinate(), Vec: Array<number>(8).fill(1e308) }, 1)
  assert.ok(isValidCoordinate(client.coordinate))
  assert.equal(client.resets, 1)
})
