using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Vision;

/// <summary>What a model's input tells about the pictures that it takes.</summary>
internal static class ImageInput
{
    private const string ByHand = "Set Height, Width, Layout and Channels of the ImageOptions by hand";

    /// <summary>See <see cref="ImageOptions.For"/>.</summary>
    public static ImageOptions Fit(IReadOnlyList<BatchInput> inputs, ImageOptions preset)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        BatchInput[] pictures = [.. inputs.Where(IsPicture)];
        if (pictures.Length != 1)
        {
            throw new OptionException(pictures.Length == 0
                ? "The model has no input for pictures: expected one of a floating type or UInt8 and of rank 4, [batch, 3 or 1, height, "
                    + $"width] or [batch, height, width, 3 or 1]; found {string.Join(", ", inputs)}."
                : $"The model has several inputs that may be pictures: {string.Join(", ", pictures.AsEnumerable())}. {ByHand}, and give "
                    + "the other inputs columns or constants.");
        }
        BatchInput input = pictures[0];
        int?[] sizes = [.. input.Dimensions!.Select(Size)];
        bool first = sizes[1] is 1 or 3, last = sizes[3] is 1 or 3;
        if (first == last)
        {
            throw new OptionException(first
                ? $"Input {input} has 1 or 3 on its second and on its last axis, so that it is not plain which are the channels. {ByHand}."
                : $"Input {input} has neither 1 nor 3 on its second or its last axis: it is not plain where its channels are, or it takes "
                    + $"another number of them than pictures have. {ByHand} if it takes pictures.");
        }
        (int? channels, int? height, int? width) = first ? (sizes[1], sizes[2], sizes[3]) : (sizes[3], sizes[1], sizes[2]);
        ImageOptions fitted = preset with
        {
            Layout = first ? ImageLayout.Nchw : ImageLayout.Nhwc,
            Channels = channels == 1 ? ImageChannels.Grey : preset.Channels == ImageChannels.Grey ? ImageChannels.Rgb : preset.Channels,
            Height = height ?? preset.Height,
            Width = width ?? preset.Width,
        };
        // Bytes take neither fractions nor negative numbers.
        return input.Type == ElementType.UInt8 ? fitted with { Scale = false, Mean = [], Deviation = [] } : fitted;
    }

    /// <summary>Whether an input may take pictures.</summary>
    public static bool IsPicture(BatchInput input) => !input.IsLabel && input.Dimensions?.Count == 4
        && (input.Type.IsFloating() || input.Type == ElementType.UInt8);

    private static int? Size(string size) => int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n > 0
        ? n : null;
}
