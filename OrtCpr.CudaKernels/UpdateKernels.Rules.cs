using ILGPU;
using OrtCpr.Cuda;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

// The rules over the elements of a chunk; their definitions are AdamStep, LionStep and SgdStep of the CPU.
internal static unsafe partial class UpdateKernels
{
    /// <summary>Adam: reads θ, g, m, v and writes θ, m, v once, 28 bytes an element; 36 with v̂.</summary>
    public static void UpdateByAdam(UpdateOperands o)
    {
        Chunk c = ChunkOf(o);
        if (!c.Applies)
            return;
        UpdatePart p = *c.Part;
        float* firsts = (float*)o.State0.Address, newFirsts = (float*)o.NewState0.Address;
        float* seconds = (float*)o.State1.Address, newSeconds = (float*)o.NewState1.Address;
        float* maxima = (float*)o.State2.Address, newMaxima = (float*)o.NewState2.Address;
        bool amsGrad = o.State2.Address != 0;
        ThreadMeasure before = default, after = default;
        for (long i = c.First + Group.IdxX; i < c.End; i += Group.DimX)
        {
            float old = ((float*)o.Parameter.Address)[i], gradient = ((float*)o.Gradient.Address)[i] * p.GradientScale;
            float m = firsts[i], v = seconds[i];
            m += p.First * (gradient - m);
            v = (p.Third * v) + (p.Second * gradient * gradient);
            newFirsts[i] = m;
            newSeconds[i] = v;
            if (amsGrad)
            {
                // NaN must stay: a comparison with it is false.
                float most = maxima[i];
                v = most > v ? most : v;
                newMaxima[i] = v;
            }
            float value = old - (p.Decay * old);
            value -= p.StepSize * (m / ((MathF.Sqrt(v) * p.SecondMomentScale) + p.Epsilon));
            ((float*)o.NewParameter.Address)[i] = value;
            before.Add(o.Regularizer, p.MeasuresInitial, old);
            after.Add(o.Regularizer, p.Measures, value);
        }
        Store(o, p, before, after);
    }

    /// <summary>Lion: reads θ, g, m and writes θ, m once, 20 bytes an element.</summary>
    public static void UpdateByLion(UpdateOperands o)
    {
        Chunk c = ChunkOf(o);
        if (!c.Applies)
            return;
        UpdatePart p = *c.Part;
        ThreadMeasure before = default, after = default;
        for (long i = c.First + Group.IdxX; i < c.End; i += Group.DimX)
        {
            float old = ((float*)o.Parameter.Address)[i], m = ((float*)o.State0.Address)[i];
            float change = (((float*)o.Gradient.Address)[i] * p.GradientScale) - m, mix = m + (p.First * change);
            ((float*)o.NewState0.Address)[i] = m + (p.Second * change);
            float value = old - (p.Decay * old);
            value -= p.StepSize * (mix > 0 ? 1 : mix < 0 ? -1 : mix);
            ((float*)o.NewParameter.Address)[i] = value;
            before.Add(o.Regularizer, p.MeasuresInitial, old);
            after.Add(o.Regularizer, p.Measures, value);
        }
        Store(o, p, before, after);
    }

    /// <summary>SGD: reads θ, g and writes θ once, 12 bytes an element; 20 with momentum.</summary>
    public static void UpdateByMomentum(UpdateOperands o)
    {
        Chunk c = ChunkOf(o);
        if (!c.Applies)
            return;
        UpdatePart p = *c.Part;
        bool hasBuffer = o.State0.Address != 0;
        ThreadMeasure before = default, after = default;
        for (long i = c.First + Group.IdxX; i < c.End; i += Group.DimX)
        {
            float old = ((float*)o.Parameter.Address)[i];
            float direction = (p.Decay * old) + (((float*)o.Gradient.Address)[i] * p.GradientScale);
            if (hasBuffer)
            {
                float buffer = (p.First * ((float*)o.State0.Address)[i]) + (p.Second * direction);
                ((float*)o.NewState0.Address)[i] = buffer;
                direction = o.Nesterov != 0 ? (p.Third * buffer) + direction : buffer;
            }
            float value = old - (p.StepSize * direction);
            ((float*)o.NewParameter.Address)[i] = value;
            before.Add(o.Regularizer, p.MeasuresInitial, old);
            after.Add(o.Regularizer, p.Measures, value);
        }
        Store(o, p, before, after);
    }

    /// <summary>The part of this block. Where its parameter takes no part in the step, everything goes over unchanged.</summary>
    private static Chunk ChunkOf(UpdateOperands o)
    {
        int index = ((int*)o.PartOfChunk)[Grid.IdxX];
        if (index < 0)
            return default;
        UpdatePart* part = (UpdatePart*)o.Parts + index;
        long first = (Grid.IdxX - part->FirstChunk) * CudaChunks.Length, last = Min(first + CudaChunks.Length, part->Length);
        Chunk chunk = new() { Part = part, First = part->Start + first, End = part->Start + last, Applies = part->Applies != 0 };
        if (!chunk.Applies)
        {
            Copy(o.Parameter, o.NewParameter, chunk);
            Copy(o.State0, o.NewState0, chunk);
            Copy(o.State1, o.NewState1, chunk);
            Copy(o.State2, o.NewState2, chunk);
        }
        return chunk;
    }

    private static void Copy(Operand from, Operand to, Chunk chunk)
    {
        if (from.Address == to.Address)
            return;
        for (long i = chunk.First + Group.IdxX; i < chunk.End; i += Group.DimX)
            ((float*)to.Address)[i] = ((float*)from.Address)[i];
    }

    private static void Store(UpdateOperands o, UpdatePart part, ThreadMeasure before, ThreadMeasure after)
    {
        PartialMeasure* partials = (PartialMeasure*)o.Partials + (2 * (long)Grid.IdxX);
        if (part.MeasuresInitial != 0)
            Store(partials, BlockReduction.Combine(before.Sum(o.Regularizer)));
        if (part.Measures != 0)
            Store(partials + 1, BlockReduction.Combine(after.Sum(o.Regularizer)));
    }

    private static void Store(PartialMeasure* to, RegularizerSum sum)
    {
        if (Group.IdxX != 0)
            return;
        to->Count = sum.Count;
        to->Total = sum.Total;
        to->Mean = sum.Mean;
    }

    /// <summary>Elements [First, End) of the flat buffers.</summary>
    private struct Chunk
    {
        public UpdatePart* Part;
        public long First, End;
        public bool Applies;
    }

    /// <summary>What one thread has added up, in double.</summary>
    private struct ThreadMeasure
    {
        private double _count, _sum, _squares;
        private float _first;

        public void Add(int regularizer, int measures, float value)
        {
            if (measures == 0)
                return;
            if (_count == 0)
                _first = value;
            double term = Measures.Term(regularizer, value, _first);
            _count += 1;
            _sum += term;
            _squares += term * term;
        }

        public readonly RegularizerSum Sum(int regularizer)
        {
            if (_count == 0 || regularizer != (int)Regularizer.Std)
                return new(_count, _sum, 0);
            // Differences of equal numbers are exactly 0, and so is their deviation. NaN must stay NaN.
            double deviation = _squares - (_sum * _sum / _count);
            return new(_count, deviation < 0 ? 0 : deviation, _first + (_sum / _count));
        }
    }
}
