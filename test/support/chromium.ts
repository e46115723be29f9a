/** Chromium without a window, where it is installed (Debian: `chromium`), for pages that somebody should look at. */
import { spawnSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

const found = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => spawnSync(path, ['--version'], { timeout: 30_000 }).status === 0,
)

/** Why there is no browser here; `null` where there is. */
export const whyNoChromium: string | null = found === undefined ? 'chromium is not installed' : null

export const launchChromium = (): Promise<Browser> => chromium.launch({ executablePath: found! })
