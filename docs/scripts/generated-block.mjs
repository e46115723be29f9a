/*
 * The parts of hand-written documents that a script writes: what stands between two comments that name the block.
 */

/** @param {string} name */
const begin = (name) => `<!-- generated: ${name}, by npm run docs:pictures -->`
/** @param {string} name */
const end = (name) => `<!-- end of generated: ${name} -->`

/**
 * @param {string} document
 * @param {string} name
 * @param {string} content
 * @returns {string} the document with `content` in the block of this name
 * @throws Error where it has no such block
 */
export function withBlock(document, name, content) {
  const [before, inside, ...more] = document.split(begin(name))
  const after = inside?.split(end(name))
  if (after?.length !== 2 || more.length > 0) throw new Error(`there is no one block '${name}'`)
  return `${before}${begin(name)}\n\n${content.trim()}\n\n${end(name)}${after[1]}`
}
