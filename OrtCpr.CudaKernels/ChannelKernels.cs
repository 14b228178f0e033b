using ILGPU;
using OrtCpr.Cuda;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

/// <summary>Batch normalisation and its gradient over x [examples, channels, inner]: sums of parts of a channel, of whole
/// channels in a fixed order, then every element.</summary>
internal static unsafe class ChannelKernels
{
    /// <summary>Mean and squared deviations of a part of a channel, 4 bytes an element. A block a part.</summary>
    public static void MeasureChannels(ChannelOperands o)
    {
        Part part = PartOf(o);
        double count = 0, sum = 0, squares = 0;
        float shift = 0;
        for (long i = part.First + Group.IdxX; i < part.End; i += Group.DimX)
        {
            float x = At(o.X, IndexOf(o, part.Channel, i));
            // Differences from a number of the channel: a mean far from 0 costs no digits.
            if (count == 0)
                shift = x;
            double difference = (double)x - shift;
            count += 1;
            sum += difference;
            squares += difference * difference;
        }
        double deviation = count == 0 ? 0 : squares - (sum * sum / count);
        RegularizerSum all = BlockReduction.Combine(new(count, deviation < 0 ? 0 : deviation, count == 0 ? 0 : shift + (sum / count)));
        if (Group.IdxX != 0)
            return;
        PartialMeasure* partial = (PartialMeasure*)o.Partials + Grid.IdxX;
        partial->Count = all.Count;
        partial->Total = all.Total;
        partial->Mean = all.Mean;
    }

    /// <summary>Mean, variance and 1/√(variance + ε) of a channel. A block a channel.</summary>
    public static void ChannelStatistics(ChannelOperands o)
    {
        int channel = Grid.IdxX;
        PartialMeasure* partials = (PartialMeasure*)o.Partials + ((long)channel * o.Parts);
        RegularizerSum sum = default;
        for (int i = Group.IdxX; i < o.Parts; i += Group.DimX)
            sum = RegularizerSum.Combine(sum, new(partials[i].Count, partials[i].Total, partials[i].Mean));
        sum = BlockReduction.Combine(sum);
        if (Group.IdxX != 0)
            return;
        // Without examples the mean of nothing, NaN, as the body has it.
        double variance = sum.Total / sum.Count, mean = sum.Count == 0 ? double.NaN : sum.Mean;
        Set(o.Mean, channel, (float)mean);
        Set(o.Variance, channel, (float)variance);
        Set(o.Inverse, channel, (float)(1 / Math.Sqrt((float)variance + o.Epsilon)));
    }

    /// <summary>y = (x − mean)·(γ·r) + β, plus a residual, through Relu.</summary>
    public static void NormalizeChannels(ChannelOperands o)
    {
        long step = Grid.DimX * (long)Group.DimX;
        for (long i = (Grid.IdxX * (long)Group.DimX) + Group.IdxX; i < o.X.Count; i += step)
        {
            long channel = ChannelOf(o, i);
            float y = ((At(o.X, i) - At(o.Mean, channel)) * (At(o.Inverse, channel) * At(o.Gain, channel))) + At(o.Bias, channel);
            if (o.Skip.Address != 0)
                y += At(o.Skip, i);
            if (o.Relu != 0 && y < 0)
                y = 0;
            Set(o.Result, i, y);
        }
    }

    /// <summary>Σ dy·x̂ and Σ dy of a part of a channel. A block a part.</summary>
    public static void SumChannelGradients(ChannelOperands o)
    {
        Part part = PartOf(o);
        float mean = At(o.Mean, part.Channel), inverse = At(o.Inverse, part.Channel);
        double product = 0, sum = 0;
        for (long i = part.First + Group.IdxX; i < part.End; i += Group.DimX)
        {
            long at = IndexOf(o, part.Channel, i);
            float dy = Masked(o, at);
            product += (double)dy * ((At(o.X, at) - mean) * inverse);
            sum += dy;
        }
        product = BlockReduction.Sum(product, Group.DimX);
        sum = BlockReduction.Sum(sum, Group.DimX);
        if (Group.IdxX != 0)
            return;
        PartialMeasure* partial = (PartialMeasure*)o.Partials + Grid.IdxX;
        partial->Total = product;
        partial->Mean = sum;
    }

    /// <summary>dγ and dβ of a channel. A block a channel.</summary>
    public static void ChannelGradients(ChannelOperands o)
    {
        int channel = Grid.IdxX;
        PartialMeasure* partials = (PartialMeasure*)o.Partials + ((long)channel * o.Parts);
        double product = 0, sum = 0;
        for (int i = Group.IdxX; i < o.Parts; i += Group.DimX)
        {
            product += partials[i].Total;
            sum += partials[i].Mean;
        }
        product = BlockReduction.Sum(product, Group.DimX);
        sum = BlockReduction.Sum(sum, Group.DimX);
        if (Group.IdxX != 0)
            return;
        Set(o.GainGradient, channel, (float)product);
        Set(o.BiasGradient, channel, (float)sum);
    }

    /// <summary>dx = γr·(dy − mean(dy) − x̂·mean(dy·x̂)).</summary>
    public static void ChannelInputGradient(ChannelOperands o)
    {
        long step = Grid.DimX * (long)Group.DimX;
        float count = o.Examples * o.Inner;
        for (long i = (Grid.IdxX * (long)Group.DimX) + Group.IdxX; i < o.X.Count; i += step)
        {
            long channel = ChannelOf(o, i);
            float inverse = At(o.Inverse, channel), normal = (At(o.X, i) - At(o.Mean, channel)) * inverse;
            float inner = Masked(o, i) - (At(o.BiasGradient, channel) / count) - (normal * (At(o.GainGradient, channel) / count));
            Set(o.Result, i, inner * (inverse * At(o.Gain, channel)));
        }
    }

    private static float Masked(ChannelOperands o, long i) => o.Y.Address == 0 || At(o.Y, i) > 0 ? At(o.Dy, i) : 0;

    private static Part PartOf(ChannelOperands o)
    {
        int channel = Grid.IdxX / o.Parts;
        long first = (Grid.IdxX - (channel * o.Parts)) * o.ElementsOfPart, all = o.Examples * o.Inner;
        long end = first + o.ElementsOfPart;
        return new() { Channel = channel, First = first, End = end < all ? end : all };
    }

    /// <summary>Element i of a channel: those of an example lie together.</summary>
    private static long IndexOf(ChannelOperands o, int channel, long i)
    {
        long example = DeviceMath.Divide(i, o.Inner);
        return (((example * o.Channels) + channel) * o.Inner) + (i - (example * o.Inner));
    }

    private static long ChannelOf(ChannelOperands o, long i)
    {
        long run = DeviceMath.Divide(i, o.Inner);
        return run - (DeviceMath.Divide(run, o.Channels) * o.Channels);
    }

    private static float At(Operand tensor, long i) => ((float*)tensor.Address)[i];

    private static void Set(Operand tensor, long i, float value) => ((float*)tensor.Address)[i] = value;

    private struct Part
    {
        public int Channel;
        public long First, End;
    }
}
