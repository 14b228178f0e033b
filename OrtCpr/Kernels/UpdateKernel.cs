namespace OrtCpr.Kernels;

/// <summary>
/// One step of one parameter: the base rule, then, for a constrained parameter, the CPR stage on the new values.
/// </summary>
/// <remarks>
/// Memory traffic an element: that of the base rule (28 bytes for Adam), R of the new values included, because each block is
/// measured while it is in the first-level cache; 8 bytes more while λ &gt; 0, because ∇R's step needs R of the whole tensor
/// first; 4 more in the one step in which a dependent bound is set.
/// </remarks>
internal static unsafe class UpdateKernel
{
    /// <summary>An unconstrained step.</summary>
    public static void Run(BaseStep rule, in UpdateTensors tensors, ParallelLoop loop)
    {
        Work work = new() { Rule = rule, Tensors = tensors };
        loop.Run(&UpdateChunk, &work, Chunks.Count(tensors.Length));
    }

    /// <summary>A constrained step; <paramref name="state"/> becomes that after it.</summary>
    /// <param name="rule">The base rule with its scalars.</param>
    /// <param name="tensors">Parameter, gradient and moments.</param>
    /// <param name="regularizer">R.</param>
    /// <param name="settings">CPR's scalars.</param>
    /// <param name="state">λ, κ and the detector.</param>
    /// <param name="step">t, 1 at the parameter's first step.</param>
    /// <param name="loop">The threads.</param>
    public static void Run(
        BaseStep rule,
        in UpdateTensors tensors,
        in Regularizer regularizer,
        in ConstraintSettings settings,
        ref ConstraintState state,
        long step,
        ParallelLoop loop)
    {
        if (BoundRules.NeedsInitialMeasure(settings, state))
        {
            RegularizerSum initial = Measurement.Of(regularizer, tensors.Parameter, tensors.Length, loop);
            BoundRules.SetFromInitial(settings, ref state, regularizer.Value(initial));
        }
        if (!BoundRules.NeedsMeasure(settings, state, step))
        {
            Run(rule, tensors, loop);
            return;
        }

        nint chunks = Chunks.Count(tensors.Length);
        RegularizerSum* stack = stackalloc RegularizerSum[PartialSums.StackChunks];
        using PartialSums partials = new(chunks, stack);
        Work work = new()
        {
            Rule = rule,
            Tensors = tensors,
            Regularizer = regularizer,
            Partials = partials.Items,
        };
        loop.Run(&UpdateAndMeasureChunk, &work, chunks);
        RegularizerSum sum = partials.Combine();

        double lambda = BoundRules.Advance(settings, ref state, step, regularizer.Value(sum));
        if (lambda == 0)
            return;
        work.DescentRate = (float)(settings.Rate * lambda * regularizer.DirectionScale(sum));
        work.Mean = (float)sum.Mean;
        loop.Run(&DescendChunk, &work, chunks);
    }

    private static void UpdateChunk(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        work->Rule.Run(work->Tensors, chunk * Chunks.Length, Chunks.LengthOf(chunk, work->Tensors.Length));
    }

    private static void UpdateAndMeasureChunk(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint start = chunk * Chunks.Length;
        nint end = start + Chunks.LengthOf(chunk, work->Tensors.Length);
        RegularizerSum sum = default;
        for (nint i = start; i < end; i += Chunks.BlockLength)
        {
            nint length = nint.Min(Chunks.BlockLength, end - i);
            work->Rule.Run(work->Tensors, i, length);
            sum = RegularizerSum.Combine(sum, work->Regularizer.Measure(work->Tensors.NewParameter + i, length));
        }
        work->Partials[chunk] = sum;
    }

    private static void DescendChunk(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        work->Regularizer.Descend(
            work->Tensors.NewParameter + (chunk * Chunks.Length),
            Chunks.LengthOf(chunk, work->Tensors.Length),
            work->DescentRate,
            work->Mean);
    }

    /// <summary>What the chunks of one step share, on the caller's stack; no reference to a managed object.</summary>
    private struct Work
    {
        public BaseStep Rule;
        public UpdateTensors Tensors;
        public Regularizer Regularizer;
        public RegularizerSum* Partials;
        public float DescentRate;
        public float Mean;
    }
}
