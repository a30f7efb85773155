/**
 * Who keeps the data: the members of the store's engine, as far as an operator looks at and changes them.
 *
 * An engine that one process has open has one member, which nobody can take out. Where the engine's members come and go
 * with the servers, who looks after them implements this.
 */

/** One member of the engine. */
export interface StoreMember {
  /** The name of the server beside it; empty for one that has not begun. */
  readonly name: string
  /** Whether it takes part in deciding what is stored. */
  readonly voter: boolean
}

export interface StoreMembers {
  /** undefined: members are no business of the servers (one process, or an engine that someone else runs). */
  list(): Promise<readonly StoreMember[] | undefined>
  /** Takes the member of a server that is gone out; harmless where there is none. @throws what the engine refuses with */
  remove(name: string): Promise<void>
}

/** Of an engine whose members nobody here looks after. */
export const NO_MEMBERS: StoreMembers = { list: async () => undefined, remove: async () => undefined }
