/** DISPLAY_IMAGE and DISPLAY_VIDEO. The box keeps its size when the source cannot be loaded. */
import { safeMediaUrl } from '../links.js'
import { flagOf, type Props, textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'

const sizeNames = ['thumbnail', 'small', 'medium', 'large']

export const image = displayMethod(({ component }: FieldProps<unknown>) => {
  // Without words of its own a picture is called by its label.
  const alt = textOf(component.props, 'alt') || component.label || 'Picture'
  const url = safeMediaUrl(textOf(component.props, 'url') ?? '')
  return (
    <figure className="grid gap-2">
      {component.label !== '' && <figcaption className="font-medium">{component.label}</figcaption>}
      {url !== null && (
        <img
          data-pw-display-image=""
          src={url}
          alt={alt}
          className={`max-w-full rounded-control object-contain object-left ${sizeClasses(component.props)}`}
        />
      )}
    </figure>
  )
})

export const video = displayMethod(({ component }: FieldProps<unknown>) => {
  const url = safeMediaUrl(textOf(component.props, 'url') ?? '')
  return (
    <figure className="grid gap-2">
      {component.label !== '' && <figcaption className="font-medium">{component.label}</figcaption>}
      {url !== null && (
        <video
          data-pw-display-video=""
          src={url}
          controls
          playsInline
          loop={flagOf(component.props, 'loop')}
          muted={flagOf(component.props, 'muted')}
          className={`max-w-full rounded-control bg-sunken ${sizeClasses(component.props)}`}
        />
      )}
    </figure>
  )
})

/** Classes of the named sizes; those of a picture of its own size when none is named. */
function sizeClasses(props: Props): string {
  const size = textOf(props, 'size')
  const width = textOf(props, 'width') ?? size
  const height = textOf(props, 'height')
  const classes = []
  if (width !== undefined && sizeNames.includes(width)) classes.push(`w-img-${width}`)
  if (height !== undefined && sizeNames.includes(height)) classes.push(`h-img-${height}`)
  else classes.push('min-h-16')
  if (width === undefined && height === undefined) classes.push('min-w-16 max-h-[40rem]')
  return classes.join(' ')
}
