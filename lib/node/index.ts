export { startNode } from './node.js'
