using System.Runtime.InteropServices;

namespace OrtCpr.Kernels;

/// <summary>The step of one parameter: what its base rule and its constraint work on.</summary>
internal unsafe struct UpdateTask
{
    /// <summary>The base rule with its scalars.</summary>
    public BaseStep Rule;

    /// <summary>Parameter, gradient and state.</summary>
    public UpdateTensors Tensors;

    /// <summary>Whether the CPR stage follows.</summary>
    public bool IsConstrained;

    /// <summary>R.</summary>
    public RegularizerFormula Regularizer;

    /// <summary>CPR's scalars.</summary>
    public ConstraintSettings Settings;

    /// <summary>λ, κ and the detector, before and after.</summary>
    public ConstraintState State;

    /// <summary>t, 1 at the parameter's first step.</summary>
    public long Step;

    /// <summary>Its number among the parameters of the node.</summary>
    public nint Part;

    /// <summary>Its row in tensors of constraint state.</summary>
    public long Row;

    /// <summary>Whether this step needs R of the new values.</summary>
    internal bool Measures;

    /// <summary>Number of its first chunk in the wave.</summary>
    internal nint FirstChunk;

    /// <summary>s·λ times what is between direction and gradient; 0 where the parameter stays as it is.</summary>
    internal float DescentRate;

    /// <summary>Mean of the new values, for the standard deviation.</summary>
    internal float Mean;
}

/// <summary>One step of any number of parameters: the base rule, then, for constrained ones, the CPR stage on the new values.</summary>
/// <remarks>
/// Memory traffic an element: that of the base rule (28 bytes for Adam), R of the new values included, because each block is
/// measured while it is in the first-level cache; 8 bytes more while λ &gt; 0, because ∇R's step needs R of the whole tensor
/// first; 4 more in the one step in which a dependent bound is set. Parameters go in waves of at least <see cref="WaveChunks"/> chunks:
/// enough for all threads, and few enough that the new values of small parameters are still in the cache when λ is known. Sums are
/// formed per chunk and added in chunk order, so neither threads nor waves change a bit.</remarks>
internal static unsafe class UpdateKernel
{
    /// <summary>Chunks of a wave: four million bytes of parameters.</summary>
    private const int WaveChunks = 64;

    /// <summary>Steps all parameters; the states of constrained ones become those after the step.</summary>
    /// <param name="tasks">Parameters that take part in this step.</param>
    /// <param name="count">How many.</param>
    /// <param name="loop">The threads.</param>
    public static void Run(UpdateTask* tasks, int count, ParallelLoop loop)
    {
        int first = 0;
        while (first < count)
        {
            nint chunks = 0;
            int end = first;
            while (end < count && (end == first || chunks < WaveChunks))
            {
                tasks[end].FirstChunk = chunks;
                chunks += Chunks.Count(tasks[end].Tensors.Length);
                end++;
            }
            RunWave(tasks + first, end - first, chunks, loop);
            first = end;
        }
    }

    private static void RunWave(UpdateTask* tasks, int count, nint chunks, ParallelLoop loop)
    {
        bool measures = false;
        for (int i = 0; i < count; i++)
        {
            PrepareConstraint(ref tasks[i], loop);
            measures |= tasks[i].Measures;
        }
        RegularizerSum* stack = stackalloc RegularizerSum[PartialSums.StackChunks];
        using PartialSums partials = new(measures ? chunks : 0, stack);
        Wave wave = new() { Tasks = tasks, Count = count, Partials = partials.Items };
        loop.Run(&UpdateChunk, &wave, chunks);
        if (!measures)
            return;
        bool descends = false;
        for (int i = 0; i < count; i++)
            descends |= tasks[i].Measures && Advance(ref tasks[i], partials.Items);
        if (descends)
            loop.Run(&DescendChunk, &wave, chunks);
    }

    private static void PrepareConstraint(ref UpdateTask task, ParallelLoop loop)
    {
        task.Measures = false;
        task.DescentRate = 0;
        if (!task.IsConstrained)
            return;
        if (BoundRules.NeedsInitialMeasure(task.Settings, task.State))
        {
            RegularizerSum initial = Measurement.Of(task.Regularizer, task.Tensors.Parameter, task.Tensors.Length, loop);
            BoundRules.SetFromInitial(task.Settings, ref task.State, task.Regularizer.Value(initial));
        }
        task.Measures = BoundRules.NeedsMeasure(task.Settings, task.State, task.Step);
    }

    /// <returns>Whether the parameter has to descend along ∇R.</returns>
    private static bool Advance(ref UpdateTask task, RegularizerSum* partials)
    {
        RegularizerSum sum = default;
        nint chunks = Chunks.Count(task.Tensors.Length);
        for (nint i = 0; i < chunks; i++)
            sum = RegularizerSum.Combine(sum, partials[task.FirstChunk + i]);
        double lambda = BoundRules.Advance(task.Settings, ref task.State, task.Step, task.Regularizer.Value(sum));
        if (lambda == 0)
            return false;
        task.DescentRate = (float)(task.Settings.Rate * lambda * task.Regularizer.DirectionScale(sum));
        task.Mean = (float)sum.Mean;
        return true;
    }

    private static void UpdateChunk(void* state, nint chunk)
    {
        Wave* wave = (Wave*)state;
        ref UpdateTask task = ref wave->TaskOf(chunk);
        nint own = chunk - task.FirstChunk, start = own * Chunks.Length, length = Chunks.LengthOf(own, task.Tensors.Length);
        if (!task.Measures)
        {
            task.Rule.Run(task.Tensors, start, length);
            return;
        }
        nint end = start + length;
        RegularizerSum sum = default;
        for (nint i = start; i < end; i += Chunks.BlockLength)
        {
            nint block = nint.Min(Chunks.BlockLength, end - i);
            task.Rule.Run(task.Tensors, i, block);
            sum = RegularizerSum.Combine(sum, task.Regularizer.Measure(task.Tensors.NewParameter + i, block));
        }
        wave->Partials[chunk] = sum;
    }

    private static void DescendChunk(void* state, nint chunk)
    {
        ref UpdateTask task = ref ((Wave*)state)->TaskOf(chunk);
        if (task.DescentRate == 0)
            return;
        nint own = chunk - task.FirstChunk;
        float* values = task.Tensors.NewParameter + (own * Chunks.Length);
        task.Regularizer.Descend(values, Chunks.LengthOf(own, task.Tensors.Length), task.DescentRate, task.Mean);
    }

    /// <summary>What the chunks of one wave share, on the caller's stack; no reference to a managed object.</summary>
    private struct Wave
    {
        public UpdateTask* Tasks;
        public int Count;
        public RegularizerSum* Partials;

        /// <summary>The parameter of a chunk, by halving; one without elements has no chunk.</summary>
        public readonly ref UpdateTask TaskOf(nint chunk)
        {
            int low = 0, high = Count - 1;
            while (low < high)
            {
                int middle = (low + high + 1) / 2;
                if (Tasks[middle].FirstChunk <= chunk)
                    low = middle;
                else
                    high = middle - 1;
            }
            return ref Tasks[low];
        }
    }
}

/// <summary>Room for the tasks of one node and the scalars of their base rules, in native memory while a node runs.</summary>
internal readonly unsafe ref struct UpdateTasks
{
    /// <summary>Bytes that the scalars of a base rule may take.</summary>
    public const int CoefficientBytes = 64;

    private readonly byte* _memory;

    public UpdateTasks(nint capacity)
    {
        _memory = (byte*)NativeMemory.AllocZeroed((nuint)capacity, (nuint)(sizeof(UpdateTask) + CoefficientBytes));
        Items = (UpdateTask*)_memory;
        _coefficients = _memory + (capacity * sizeof(UpdateTask));
    }

    private readonly byte* _coefficients;

    public UpdateTask* Items { get; }

    /// <summary>Where the scalars of task <paramref name="index"/> lie.</summary>
    public void* Coefficients(nint index) => _coefficients + (index * CoefficientBytes);

    public void Dispose() => NativeMemory.Free(_memory);
}
