/**
 * How large the parts of a snapshot may be.
 */

/** All records of a datacenter, uncompressed: the largest file that a plain tar header can tell the size of. */
export const MAX_STATE_BYTES = 8_589_934_591
/** Names, index, sizes. */
export const MAX_META_BYTES = 65_536
export const MAX_SUMS_BYTES = 4_096
/** Of one record, the same as in the store (MAX_KEY_BYTES, MAX_TRANSACTION_BYTES there). */
export const MAX_RECORD_KEY_BYTES = 16_384
export const MAX_RECORD_BYTES = 1_048_576
