namespace OrtCpr.Vision;

/// <summary>How a picture comes to the size that the model wants.</summary>
public enum ImageFit
{
    /// <summary>Resized, with its proportions, until it covers the target size divided by <see cref="ImageOptions.CropFraction"/>; then
    /// the centre is cut out. torchvision evaluates so.</summary>
    CenterCrop,
    /// <summary>Resized to the target size whatever its proportions.</summary>
    Squash,
    /// <summary>Resized, with its proportions, until it fits into the target size; the rest is <see cref="ImageOptions.Background"/>, in
    /// equal parts on both sides.</summary>
    Pad,
}

/// <summary>How pixels are computed when a picture is resized.</summary>
public enum ImageInterpolation
{
    /// <summary>Bilinear; where a picture shrinks the filter grows with it, so that there is no aliasing.</summary>
    Bilinear,
    /// <summary>Bicubic (a = −0.5), with a filter that grows likewise.</summary>
    Bicubic,
}

/// <summary>What the channels of an example are.</summary>
public enum ImageChannels
{
    /// <summary>Red, green, blue.</summary>
    Rgb,
    /// <summary>Blue, green, red.</summary>
    Bgr,
    /// <summary>One channel: 0.299 red + 0.587 green + 0.114 blue.</summary>
    Grey,
}

/// <summary>The order of the axes of an example.</summary>
public enum ImageLayout
{
    /// <summary>[channels, height, width], as PyTorch's models take it.</summary>
    Nchw,
    /// <summary>[height, width, channels], as TensorFlow's models take it.</summary>
    Nhwc,
}

/// <summary>What is done about pictures that can't be read.</summary>
public enum DamagedImages
{
    /// <summary>An error that names all that the scan found.</summary>
    Refuse,
    /// <summary>They are left out and listed in <see cref="ImageSource.Skipped"/>. All pictures are decoded once when the source is
    /// opened.</summary>
    Skip,
}

/// <summary>What is looked at when a source is opened.</summary>
public enum ImageScan
{
    /// <summary>Nothing: a picture that can't be read ends the run when its turn comes.</summary>
    None,
    /// <summary>The header of each file: that it is a picture, and of a size that is allowed.</summary>
    Headers,
    /// <summary>All pixels: each picture is decoded once, on all processors.</summary>
    Pixels,
}

/// <summary>What the labels of a table are.</summary>
public enum ImageLabels
{
    /// <summary>Classes where they are texts or whole numbers from 0 on, else numbers.</summary>
    Auto,
    /// <summary>Classes: whole numbers as they stand, or texts.</summary>
    Classes,
    /// <summary>Numbers, for a regression.</summary>
    Numbers,
}

/// <summary>A colour.</summary>
/// <param name="Red">0 to 255.</param>
/// <param name="Green">0 to 255.</param>
/// <param name="Blue">0 to 255.</param>
public readonly record struct ImageColor(byte Red, byte Green, byte Blue)
{
    /// <summary>255, 255, 255.</summary>
    public static ImageColor White => new(255, 255, 255);

    /// <summary>0, 0, 0.</summary>
    public static ImageColor Black => default;
}
