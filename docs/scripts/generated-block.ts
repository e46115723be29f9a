/** The parts of hand-written documents that a script writes: what stands between two comments that name the block. */

const begin = (name: string): string => `<!-- generated: ${name}, by npm run docs:pictures -->`
const end = (name: string): string => `<!-- end of generated: ${name} -->`

/**
 * @returns the document with `content` in the block of this name
 * @throws Error where it has no such block
 */
export function withBlock(document: string, name: string, content: string): string {
  const [before, inside, ...more] = document.split(begin(name))
  const after = inside?.split(end(name))
  if (before === undefined || after?.length !== 2 || more.length > 0) throw new Error(`there is no one block '${name}'`)
  return `${before}${begin(name)}\n\n${content.trim()}\n\n${end(name)}${after[1]}`
}
