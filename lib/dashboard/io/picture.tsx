/**
 * The picture of an option, a result, a cell or a fact, beside its words. Its box has its size before it is loaded, and
 * keeps it when it never is: rows do not move.
 */
import { safeMediaUrl } from '../links.js'
import { isRecord, type Props, textOf } from '../props.js'

/** Sides of the named sizes, in px. */
const sides = {
  /** In menus. */
  small: { thumbnail: 32, small: 64, medium: 96, large: 128 },
  /** Where words are read. */
  usual: { thumbnail: 64, small: 96, medium: 160, large: 256 },
}

/** Its address; null when there is none, or not one that a picture may have. */
export function pictureSource(image: unknown): string | null {
  return (isRecord(image) && safeMediaUrl(textOf(image, 'url') ?? '')) || null
}

/** What the host says of the picture of an option or a result, which the oldest SDKs call by its address alone. */
export function imageOf(item: Props): unknown {
  return item.image ?? { url: item.imageUrl }
}

interface PictureProps {
  /** What the host says of it; nothing is shown where that is nothing. */
  image: unknown
  /** Those beside it, which also say what it shows where the host does not. */
  words: string
  scale?: keyof typeof sides
  className?: string
}

export function Picture({ image, words, scale = 'usual', className = '' }: PictureProps) {
  const source = pictureSource(image)
  if (source === null || !isRecord(image)) return null
  const [width, height] = [sideOf(image, 'width', scale), sideOf(image, 'height', scale)]
  const isNamed = width !== undefined || height !== undefined
  return (
    <img
      src={source}
      alt={textOf(image, 'alt') || words || 'Picture'}
      // In a menu the words say which option it is.
      aria-hidden={scale === 'small' ? true : undefined}
      className={`max-w-full flex-none rounded ${isNamed ? 'object-contain object-left' : 'object-cover'} ${className}`}
      style={{
        width: width ?? height ?? sides[scale].thumbnail,
        height: height ?? width ?? sides[scale].thumbnail,
      }}
    />
  )
}

/** One name for both sides, or, as older SDKs have it, a name for each. */
function sideOf(image: Props, side: 'width' | 'height', scale: keyof typeof sides): number | undefined {
  const name = textOf(image, side) ?? textOf(image, 'size') ?? ''
  const named = sides[scale]
  return Object.hasOwn(named, name) ? named[name as keyof typeof named] : undefined
}
