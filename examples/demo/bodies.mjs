/*
 * Message bodies that both ends can compute, so that every response can be checked.
 */

/** @param {number} id */
export const item = (id) => Buffer.from(`item ${id}\n`)

/** @param {number} id */
export const page = (id) => Buffer.alloc(65_536, `page ${id}, `)

/** @param {number} id */
export const upload = (id) => Buffer.alloc(16_384, `upload ${id}, `)
