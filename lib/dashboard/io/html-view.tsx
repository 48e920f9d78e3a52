/** HTML of a host, with everything that could run, load frames, collect input or restyle our screen taken out. */
import DOMPurify from 'dompurify'

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

export default function HtmlView({ html }: { html: string }) {
  const clean = DOMPurify.sanitize(html, { ...forbidden, USE_PROFILES: { html: true } })
  // biome-ignore lint/security/noDangerouslySetInnerHtml: sanitised in the line above
  return <div className="prose min-w-0" dangerouslySetInnerHTML={{ __html: clean }} />
}
