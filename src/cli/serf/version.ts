import type { SerfCommand } from './console.ts'
import { VERSION_TEXT } from './texts.ts'

export const version: SerfCommand = async (_args, console) => {
  console.out(VERSION_TEXT)
  return 0
}
