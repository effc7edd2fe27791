// Runs a model with onnxruntime-web's wasm on images prepared by agree.py, and writes the index of the top score.
// node run.mjs MODULES MODEL IMAGES COUNT HEIGHT WIDTH; IMAGES holds float32 (COUNT, 3, HEIGHT, WIDTH), little-endian.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, model, images, count, height, width] = process.argv.slice(2)
const require = createRequire(pathToFileURL(join(modules, 'package.json')))
const ort = require('onnxruntime-web')
ort.env.wasm.numThreads = 1
ort.env.logLevel = 'error'

const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ['wasm'] })
const values = readFileSync(images)
const size = 3 * Number(height) * Number(width)
const answers = []
for (let index = 0; index < Number(count); index++) {
  const image = new Float32Array(values.buffer, values.byteOffset + 4 * size * index, size)
  const input = new ort.Tensor('float32', image, [1, 3, Number(height), Number(width)])
  const output = await session.run({ [session.inputNames[0]]: input })
  const scores = output[session.outputNames[0]].data
  answers.push(scores.reduce((best, score, label) => (score > scores[best] ? label : best), 0))
}
console.log(JSON.stringify(answers))
process.exit(0)
