/** Entry of the browser app: makes what everything else is given, and renders. */
import { createRoot } from 'react-dom/client'
import { BrowserRouter, useLocation } from 'react-router'
import { Api } from './api.js'
import { App } from './app.js'
import { BrokenScreen, isPartMissing } from './components/broken-screen.js'
import { createEncoding } from './encoding.js'
import { uuidFrom } from './random.js'
import { ServicesProvider } from './services.js'
import { WindowMemory } from './storage.js'
import './styles.css'

const newId = () => uuidFrom(count => crypto.getRandomValues(new Uint8Array(count)))
const services = {
  api: new Api(),
  memory: new WindowMemory(window.sessionStorage, newId),
  encoding: createEncoding(),
  newId,
}

const root = document.getElementById('root')
if (!root) throw new Error('the document has no #root')

function Screens() {
  const { pathname } = useLocation()
  return (
    <BrokenScreen at={pathname}>
      <App />
    </BrokenScreen>
  )
}

createRoot(root, {
  onCaughtError: error => {
    // The screen says so, and nothing is wrong with the code.
    if (!isPartMissing(error)) console.error(error)
  },
}).render(
  <ServicesProvider value={services}>
    <BrowserRouter>
      <Screens />
    </BrowserRouter>
  </ServicesProvider>,
)
