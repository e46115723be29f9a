export function withBlock(document: string, name: string, content: string): string
