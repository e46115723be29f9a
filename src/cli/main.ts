#!/usr/bin/env node
/** `npx recycling-agent`: dist/cli.js. */
import { runCommand } from './command.js'

process.exitCode = await runCommand(process.argv.slice(2), process)
