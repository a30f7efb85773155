/**
 * Collects bytes that come in pieces, so that a sender of single bytes costs bytes and not an object for each.
 */

/** Neighbours that together stay below this are joined. */
export const JOIN_BELOW_BYTES = 4096

/** Adds `chunk` at the end; copies only when it and the last piece are both small. */
export function appendChunk(pieces: Buffer[], chunk: Buffer): void {
  const last = pieces.at(-1)
  if (last && last.length + chunk.length <= JOIN_BELOW_BYTES) pieces[pieces.length - 1] = Buffer.concat([last, chunk])
  else pieces.push(chunk)
}
