/** Markdown as words. Loaded when the first one is shown: the parser is larger than all other methods together. */
import ReactMarkdown from 'react-markdown'
import remarkGfm from 'remark-gfm'
import { dedent } from '../format.js'
import { safeMediaUrl } from '../links.js'

export default function MarkdownView({ text }: { text: string }) {
  return (
    <div className="prose min-w-0">
      <ReactMarkdown remarkPlugins={[remarkGfm]} urlTransform={address => safeMediaUrl(address) ?? ''}>
        {dedent(text)}
      </ReactMarkdown>
    </div>
  )
}
