/** llhttp compiled to WebAssembly, in base64; resolved when the package is built (build/llhttp-wasm.ts). */
declare module 'virtual:llhttp-wasm' {
  const base64: string
  export default base64
}
