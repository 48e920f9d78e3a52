/** HTML of a host, with everything that could run, load frames, collect input or restyle our screen taken out. */
import DOMPurify from 'dompurify'
import { useMemo } from 'react'
import { safeMediaUrl } from '../links.js'

const forbidden = {
  FORBID_TAGS: [
    'style',
    'noscript',
    'iframe',
    'form',
    'input',
    'button',
    'select',
    'option',
    'textarea',
    'label',
    'fieldset',
    'legend',
    'object',
    'embed',
  ],
  FORBID_CONTENTS: [
    'script',
    'style',
    'noscript',
    'iframe',
    'form',
    'button',
    'select',
    'textarea',
    'object',
    'option',
    'fieldset',
    'legend',
    'label',
  ],
  FORBID_ATTR: ['style', 'class', 'id', 'name'],
}

/** An instance of its own: its hook is nobody else's. */
const purifier = DOMPurify(window)
purifier.addHook('afterSanitizeAttributes', node => {
  // A picture is called something, also when it does not load.
  if (node.nodeName === 'IMG' && !node.hasAttribute('alt')) node.setAttribute('alt', 'Picture')
  const source = node.getAttribute('src')
  if (source !== null && safeMediaUrl(source) === null) node.removeAttribute('src')
  if (node.nodeName === 'A') node.setAttribute('rel', 'noreferrer')
})

export default function HtmlView({ html }: { html: string }) {
  const clean = useMemo(() => purifier.sanitize(html, { ...forbidden, USE_PROFILES: { html: true } }), [html])
  // biome-ignore lint/security/noDangerouslySetInnerHtml: sanitised in the lines above
  return <div className="prose min-w-0" dangerouslySetInnerHTML={{ __html: clean }} />
}
