import { expect, test } from 'vitest'
import type { Plot } from './plot.ts'
import { plotSvg } from './plot-svg.ts'
import { plotText } from './plot-text.ts'

const plot: Plot = {
  title: 'False positives',
  x: { label: 'seconds', min: 0 },
  y: { label: 'so far', scale: 'log' },
  series: [
    {
      name: 'SWIM',
      points: [
        [0, 0],
        [10, 9],
        [20, 90],
      ],
    },
    {
      name: 'Lifeguard <all>',
      points: [
        [0, 0],
        [20, 1],
      ],
    },
  ],
}

test('a plot on a terminal: signs on a grid, marks at its edges, a legend', () => {
  expect(`\n${plotText(plot, 46, 7)}\n`).toBe(`
False positives (so far)
100 ┤                                      ●●●
    │                               ●●●●●●●
    │                        ●●●●●●●
 10 ┤                 ●●●●●●●
    │           ●●●●●●
  1 ┤    ●●●●●●●            ▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲
  0 ┤●●●●▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲▲
    └─────────────────────────────────────────
     0         5        10        15        20
     seconds
● SWIM   ▲ Lifeguard <all>
`)
})

test('the same as SVG: self-contained, for light and dark pages, nothing unescaped', () => {
  const svg = plotSvg([plot, plot])
  expect(svg).toMatchSnapshot()
  expect(svg).toContain('prefers-color-scheme:dark')
  expect(svg).toContain('Lifeguard &lt;all&gt;')
  expect(svg).not.toMatch(/https?:(?!\/\/www\.w3\.org\/2000\/svg)/)
})

test('nothing to show is an empty picture, no error', () => {
  const empty: Plot = { title: 'Nothing', x: { label: 's' }, y: { label: 'n' }, series: [{ name: 'a', points: [] }] }
  expect(plotText(empty)).toContain('Nothing (n)')
  expect(plotSvg([empty])).toContain('</svg>')
})
