/** Markdown as words. Loaded when the first one is shown: the parser is larger than all other methods together. */
import ReactMarkdown from 'react-markdown'
import remarkGfm from 'remark-gfm'
import { dedent } from '../format.js'
import { safeMediaUrl, safeUrl } from '../links.js'

/** Pictures may be in the text itself; what is followed may not. */
function safeAddress(address: string, attribute: string): string | null {
  return attribute === 'src' ? safeMediaUrl(address) : safeUrl(address)
}

export default function MarkdownView({ text }: { text: string }) {
  return (
    <div className="prose min-w-0">
      <ReactMarkdown remarkPlugins={[remarkGfm]} urlTransform={safeAddress}>
        {dedent(text)}
      </ReactMarkdown>
    </div>
  )
}
