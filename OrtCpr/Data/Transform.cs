using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Changes one example of a column on its way into a batch, as floats. What is random depends on seed, epoch
/// and example only.</summary>
public abstract partial class Transform
{
    /// <summary>Multiplies: 1/255 (default) brings bytes into [0, 1].</summary>
    /// <param name="factor">By what.</param>
    public static Transform Scale(float factor = 1f / 255) => new Scale(factor);

    /// <summary>(x − mean)/deviation for each channel of images [channels, height, width].</summary>
    /// <param name="mean">One a channel.</param>
    /// <param name="deviation">One a channel, above 0.</param>
    public static Transform Normalize(ImmutableArray<float> mean, ImmutableArray<float> deviation) => new Normalize(mean, deviation);

    /// <summary>Mirrors an image [channels, height, width] left to right half of the time.</summary>
    public static Transform RandomHorizontalFlip() => new RandomHorizontalFlip();

    /// <summary>Pads an image [channels, height, width] by its own reflection (the edge itself is not repeated) and cuts
    /// out a random part of the first size.</summary>
    /// <param name="padding">Pixels on each side, at least 0 and below height and width. Default 4.</param>
    public static Transform RandomCrop(int padding = 4) => new RandomCrop(padding);

    /// <summary>Whether the source itself applies the transform while it reads (<see cref="DataSource.CanApply"/>), since it acts on what
    /// an example is before it has its final form. <see cref="Apply"/> is not called then. Default off.</summary>
    public virtual bool ActsInSource => false;

    /// <summary>Refuses examples of a shape that it is not made for.</summary>
    /// <param name="dimensions">Of one example.</param>
    /// <exception cref="OptionException">The shape does not fit, or an option is out of range.</exception>
    public virtual void Check(IReadOnlyList<long> dimensions)
    {
    }

    /// <summary>Changes an example in place.</summary>
    /// <param name="example">Elements in row-major order.</param>
    /// <param name="dimensions">Its shape.</param>
    /// <param name="random">The example's own numbers.</param>
    public abstract void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random);

    private protected static (int Channels, int Height, int Width) Image(IReadOnlyList<long> dimensions, string name) =>
        dimensions.Count == 3
        ? ((int)dimensions[0], (int)dimensions[1], (int)dimensions[2])
        : throw new OptionException(
            $"{name} takes images [channels, height, width]; found examples of shape [{string.Join(',', dimensions)}].");
}

/// <summary>Multiplies: 1/255 (default) brings bytes into [0, 1].</summary>
/// <param name="factor">By what.</param>
internal sealed class Scale(float factor) : Transform
{
    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random) =>
        System.Numerics.Tensors.TensorPrimitives.Multiply(example, factor, example);
}

/// <summary>(x − mean)/deviation for each channel of an image.</summary>
/// <param name="mean">One a channel.</param>
/// <param name="deviation">One a channel, above 0.</param>
internal sealed class Normalize(ImmutableArray<float> mean, ImmutableArray<float> deviation) : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions)
    {
        int channels = Image(dimensions, nameof(Normalize)).Channels;
        if (mean.Length != channels || deviation.Length != channels)
        {
            throw new OptionException(
                $"{nameof(Normalize)} has {mean.Length} means and {deviation.Length} deviations; the images have {channels} channels.");
        }
        if (deviation.Any(d => !(d > 0)))
            throw new OptionException($"{nameof(Normalize)} has deviations {string.Join(", ", deviation)}; expected numbers above 0.");
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        int plane = example.Length / mean.Length;
        for (int c = 0; c < mean.Length; c++)
        {
            foreach (ref float x in example.Slice(c * plane, plane)) x = (x - mean[c]) / deviation[c];
        }
    }
}

/// <summary>Mirrors an image left to right half of the time.</summary>
internal sealed class RandomHorizontalFlip : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions) => Image(dimensions, nameof(RandomHorizontalFlip));

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        ArgumentNullException.ThrowIfNull(random);
        if (random.Below(2) == 0) return;
        int width = Image(dimensions, nameof(RandomHorizontalFlip)).Width;
        for (int at = 0; at < example.Length; at += width) example.Slice(at, width).Reverse();
    }
}

/// <summary>Pads an image by its own reflection (the edge itself is not repeated) and cuts out a random part of the first size.</summary>
/// <param name="padding">Pixels on each side, at least 0 and below height and width.</param>
internal sealed class RandomCrop(int padding) : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions)
    {
        (_, int height, int width) = Image(dimensions, nameof(RandomCrop));
        if (padding < 0 || padding >= Math.Min(height, width))
        {
            throw new OptionException(
                $"{nameof(RandomCrop)} has a {nameof(padding)} of {padding}; expected 0 to {Math.Min(height, width) - 1} for images of "
                + $"{height} × {width}.");
        }
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        ArgumentNullException.ThrowIfNull(random);
        (int channels, int height, int width) = Image(dimensions, nameof(RandomCrop));
        int down = random.Below((2 * padding) + 1) - padding, right = random.Below((2 * padding) + 1) - padding;
        if (down == 0 && right == 0) return;
        float[] source = System.Buffers.ArrayPool<float>.Shared.Rent(example.Length);
        example.CopyTo(source);
        for (int row = 0; row < channels * height; row++)
        {
            int from = ((row / height) * height) + Reflected((row % height) + down, height);
            for (int column = 0; column < width; column++)
                example[(row * width) + column] = source[(from * width) + Reflected(column + right, width)];
        }
        System.Buffers.ArrayPool<float>.Shared.Return(source);
    }

    private static int Reflected(int at, int size) => at < 0 ? -at : at >= size ? (2 * size) - 2 - at : at;
}
