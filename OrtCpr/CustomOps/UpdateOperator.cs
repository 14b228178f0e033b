using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>One step of one parameter, or of all parameters that a joined node covers: reads and checks operands, calls
/// the kernel.</summary>
/// <remarks>What the operator does is read from the links of its definition; where an operand lies from its slots.</remarks>
internal sealed unsafe class UpdateOperator : OperatorKernel
{
    private readonly BaseKernel _kernel;
    private readonly UpdateLink _rule;
    private readonly ConstraintOperands? _constraint;
    private readonly string[] _states;
    private readonly bool _isJoined;

    private UpdateOperator(OperatorDefinition definition, UpdateDefinition single, BaseKernel kernel)
        : base(definition)
    {
        _kernel = kernel;
        _rule = single.Links.First(l => l.Stage == UpdateStage.Direction);
        _constraint = single.Links.OfType<ConstrainNorm>().FirstOrDefault() is ConstrainNorm link ? new(link) : null;
        _states = [.. single.Slots.Where(s => s.Slot.Role == SlotRole.State).Select(s => s.Name)];
        _isJoined = definition != single;
    }

    /// <summary>The kernel of an update operator, joined or not; null where its links have none.</summary>
    public static UpdateOperator? TryCreate(OperatorDefinition definition)
    {
        UpdateDefinition? single = definition as UpdateDefinition ?? (definition as JoinedDefinition)?.Single;
        if (single is null || BaseKernel.Find(single.Links) is not BaseKernel kernel)
            return null;
        bool isFused = single.Links.Where(l => l.Stage == UpdateStage.NewParameter)
            .All(l => l is ConstrainNorm { EvaluateAt: EvaluateAt.Updated });
        return isFused ? new(definition, single, kernel) : null;
    }

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> parameter = context.In<float>("parameter"), gradient = context.In<float>("gradient");
        UpdateTensors whole = new() { Length = parameter.Length, Parameter = parameter.Data, Gradient = gradient.Data };
        for (int i = 0; i < _states.Length; i++)
            whole.State[i] = (nint)context.Like(_states[i], parameter.Length);
        Parts parts = PartsOf(context, parameter);

        // All inputs are read before the first output is written: any output may be the memory of its input.
        using UpdateTasks tasks = new(parts.Count);
        int applied = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            parts.IsApplied[i] = Read(new UpdateSettings(context, i, parts.Count), tasks.Coefficients(applied), ref tasks.Items[applied]);
            if (!parts.IsApplied[i])
                continue;
            tasks.Items[applied].Tensors.Length = parts.LengthOf(i);
            tasks.Items[applied++].Part = i;
        }
        if (applied > 0)
            context.Expect(gradient, parameter.Length);

        whole.NewParameter = context.Out("parameter", parameter.Shape);
        for (int i = 0; i < _states.Length; i++)
            whole.NewState[i] = (nint)context.Out(_states[i], parameter.Shape);
        for (int i = 0; i < parts.Count; i++)
        {
            if (!parts.IsApplied[i])
                Slice(whole, parts.StartOf(i), parts.LengthOf(i)).CopyUnchanged();
        }
        for (int i = 0; i < applied; i++)
            tasks.Items[i].Tensors = Slice(whole, parts.StartOf(tasks.Items[i].Part), tasks.Items[i].Tensors.Length);
        UpdateKernel.Run(tasks.Items, applied, context.Threads);
        _constraint?.Write(context, tasks.Items, applied, _isJoined);
    }

    /// <summary>A node of one parameter is one part. Offsets are those of a plan of ours, but the file may have been
    /// changed.</summary>
    private Parts PartsOf(in KernelContext context, in InputTensor<float> parameter)
    {
        if (!_isJoined)
            return new(null, null, 1, parameter.Length);
        InputTensor<long> starts = context.In<long>("starts"), lengths = context.In<long>("lengths");
        context.Expect(lengths, starts.Length);
        for (nint i = 0; i < starts.Length; i++)
        {
            if (starts.Data[i] < 0 || lengths.Data[i] < 0 || starts.Data[i] > parameter.Length - lengths.Data[i])
            {
                throw new OperandException($"{Name}: parameter {i} is [{starts.Data[i]}, +{lengths.Data[i]}), "
                    + $"outside of 'parameter', which has {parameter.Length} elements.");
            }
        }
        return new(starts.Data, lengths.Data, starts.Length, 0);
    }

    /// <summary>False where the parameter takes no part in this step.</summary>
    private bool Read(in UpdateSettings settings, void* coefficients, ref UpdateTask task)
    {
        long index = settings.Get<long>("parameter_index"), group = settings.Get<long>("group_index");
        task.Step = settings.At<long>("step", "parameter_index", index);
        StepScalars step = new(
            task.Step, group, settings.At<float>("learning_rate", "group_index", group), settings.Get<float>("gradient_scale"));
        _constraint?.Read(settings, group, ref task);
        if (!settings.At<bool>("apply", "parameter_index", index))
            return false;
        if (task.Step < 1)
            throw new OperandException($"{Name}: 'step' is {task.Step}; it counts from 1 and is incremented before the update.");
        task.Rule = _kernel.Read(_rule, settings, step, coefficients);
        return true;
    }

    private static UpdateTensors Slice(in UpdateTensors whole, nint start, nint length)
    {
        UpdateTensors part = new()
        {
            Length = length,
            Parameter = whole.Parameter + start,
            Gradient = whole.Gradient + start,
            NewParameter = whole.NewParameter + start,
        };
        for (int i = 0; i < UpdateTensors.MaxStates && whole.State[i] != 0; i++)
        {
            part.State[i] = whole.State[i] + (start * sizeof(float));
            part.NewState[i] = whole.NewState[i] + (start * sizeof(float));
        }
        return part;
    }

    /// <summary>Where the parameters of a node lie in its buffers, and which of them take part.</summary>
    private readonly ref struct Parts(long* starts, long* lengths, nint count, nint length)
    {
        public nint Count { get; } = count;

        public Span<bool> IsApplied { get; } = new bool[count];

        public nint StartOf(nint part) => starts == null ? 0 : (nint)starts[part];

        public nint LengthOf(nint part) => lengths == null ? length : (nint)lengths[part];
    }
}
