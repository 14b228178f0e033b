using System.Numerics.Tensors;
using OrtCpr.Graph;

namespace OrtCpr.Data;

public abstract partial class Transform
{
    /// <summary>Makes a sound [samples] or [channels, samples] louder or softer by a factor that is uniform in decibels.</summary>
    /// <param name="decibels">At most so much either way, at least 0 and finite. Default 6: half to double.</param>
    public static Transform RandomGain(double decibels = 6) => new RandomGain(decibels);

    /// <summary>Moves a sound [samples] or [channels, samples] in time, all channels alike; what comes in is silence.</summary>
    /// <param name="samples">At most so many samples either way, at least 0. Default 1600: 0.1 s at 16 kHz.</param>
    public static Transform RandomShift(int samples = 1600) => new RandomShift(samples);

    /// <summary>Adds white noise of a normal distribution, whose deviation is uniform from 0 on.</summary>
    /// <param name="deviation">The largest deviation, at least 0 and finite; a sound has −1 to 1. Default 0.005.</param>
    public static Transform RandomNoise(double deviation = 0.005) => new RandomNoise(deviation);
}

/// <summary>Makes a sound louder or softer.</summary>
/// <param name="decibels">At most so much either way.</param>
internal sealed class RandomGain(double decibels) : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions)
    {
        if (!(decibels >= 0 && double.IsFinite(decibels)))
        {
            throw new OptionException($"{nameof(RandomGain)} has {nameof(decibels)} of {decibels}; expected a finite number of at least "
                + "0.");
        }
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        ArgumentNullException.ThrowIfNull(random);
        float factor = (float)Math.Pow(10, ((2 * random.NextDouble()) - 1) * decibels / 20);
        TensorPrimitives.Multiply(example, factor, example);
    }
}

/// <summary>Moves a sound in time.</summary>
/// <param name="samples">At most so many samples either way.</param>
internal sealed class RandomShift(int samples) : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions)
    {
        ArgumentNullException.ThrowIfNull(dimensions);
        if (dimensions.Count is not (1 or 2))
        {
            throw new OptionException(
                $"{nameof(RandomShift)} takes sounds [samples] or [channels, samples]; found examples of shape "
                + $"[{string.Join(',', dimensions)}].");
        }
        if (samples is < 0 or > int.MaxValue / 2)
            throw new OptionException($"{nameof(RandomShift)} has {nameof(samples)} of {samples}; expected 0 to {int.MaxValue / 2}.");
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        ArgumentNullException.ThrowIfNull(random);
        ArgumentNullException.ThrowIfNull(dimensions);
        int length = (int)dimensions[^1], later = random.Below((2 * samples) + 1) - samples;
        int moved = Math.Min(Math.Abs(later), length);
        for (int at = 0; at < example.Length; at += length)
        {
            Span<float> channel = example.Slice(at, length);
            if (later >= 0)
            {
                channel[..^moved].CopyTo(channel[moved..]);
                channel[..moved].Clear();
            }
            else
            {
                channel[moved..].CopyTo(channel);
                channel[^moved..].Clear();
            }
        }
    }
}

/// <summary>Adds white noise.</summary>
/// <param name="deviation">The largest deviation.</param>
internal sealed class RandomNoise(double deviation) : Transform
{
    /// <inheritdoc/>
    public override void Check(IReadOnlyList<long> dimensions)
    {
        if (!(deviation >= 0 && double.IsFinite(deviation)))
        {
            throw new OptionException($"{nameof(RandomNoise)} has a {nameof(deviation)} of {deviation}; expected a finite number of at "
                + "least 0.");
        }
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random)
    {
        ArgumentNullException.ThrowIfNull(random);
        double level = random.NextDouble() * deviation;
        for (int i = 0; i < example.Length; i += 2)
        {
            // Two normal numbers of two uniform ones (Box and Muller 1958); 1 − u is above 0.
            double radius = level * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())), angle = 2 * Math.PI * random.NextDouble();
            example[i] += (float)(radius * Math.Cos(angle));
            if (i + 1 < example.Length) example[i + 1] += (float)(radius * Math.Sin(angle));
        }
    }
}
