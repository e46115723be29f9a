/**
 * node:http as CommonJS has it. Imported as an ES module it has all of its exports read at once, among them `WebSocket`,
 * for which Node.js 22 and later load their own undici: it would come before the undici of the program, and make its
 * Agent the global one.
 */
export const { IncomingMessage, maxHeaderSize } = process.getBuiltinModule('node:http')
