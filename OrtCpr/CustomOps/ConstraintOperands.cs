using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The operands of the CPR stage: λ, κ and the detector, a row a matrix, and the scalars of the way to find κ.</summary>
internal sealed unsafe class ConstraintOperands(ConstrainNorm link)
{
    private readonly RegularizerFormula _regularizer = RegularizerFormula.Of(link.Regularizer);

    /// <summary>Reads the state and the settings of one parameter.</summary>
    public void Read(in UpdateSettings settings, long group, ref UpdateTask task)
    {
        task.IsConstrained = true;
        task.Regularizer = _regularizer;
        task.Row = settings.Get<long>("matrix_index");
        float* kappa = settings.Row("kappa", "lambda", "matrix_index", task.Row, 1);
        float* detector = settings.Row("detector", "lambda", "matrix_index", task.Row, DetectorState.Columns);
        task.State = new()
        {
            Lambda = settings.At<float>("lambda", "matrix_index", task.Row),
            Kappa = *kappa,
            Samples = detector[DetectorState.SamplesColumn],
            LastSample = detector[1],
            EarlierSample = detector[2],
            IsSet = detector[DetectorState.StateColumn] != DetectorState.NotSet || link.Bound.Kind == BoundKind.Uniform,
            EverActive = detector[DetectorState.StateColumn] > DetectorState.Set,
        };
        task.Settings = ReadMethod(settings, new()
        {
            Method = link.Bound.Kind,
            Adaptive = link.Adaptive,
            KappaUpdate = settings.Get<float>("kappa_update"),
            Rate = settings.At<float>("constraint_rate", "group_index", group),
        });
    }

    /// <summary>Writes the rows of parameters that took part; the others keep theirs.</summary>
    /// <param name="context">The running node.</param>
    /// <param name="tasks">The parameters after the step.</param>
    /// <param name="count">How many.</param>
    /// <param name="isJoined">Whether outputs hold the rows of all matrices; else that of one.</param>
    public void Write(in KernelContext context, UpdateTask* tasks, int count, bool isJoined)
    {
        InputTensor<float> lambda = context.In<float>("lambda"), kappa = context.In<float>("kappa");
        InputTensor<float> detector = context.In<float>("detector");
        nint row = isJoined ? 0 : (nint)tasks[0].Row, rows = isJoined ? lambda.Length : 1;
        float* newLambda = Copy(lambda, row, rows, context.Out("lambda", [rows]));
        float* newKappa = Copy(kappa, row, rows, context.Out("kappa", [rows]));
        float* newDetector =
            Copy(detector, row * DetectorState.Columns, rows * DetectorState.Columns, context.Out(
                "detector", [rows, DetectorState.Columns]));
        for (int i = 0; i < count; i++)
        {
            ref readonly ConstraintState state = ref tasks[i].State;
            nint at = isJoined ? (nint)tasks[i].Row : 0;
            newLambda[at] = (float)state.Lambda;
            newKappa[at] = (float)state.Kappa;
            float* own = newDetector + (at * DetectorState.Columns);
            own[DetectorState.SamplesColumn] = (float)state.Samples;
            own[1] = (float)state.LastSample;
            own[2] = (float)state.EarlierSample;
            own[DetectorState.StateColumn] = state.EverActive ? DetectorState.EverActive : state.IsSet ? DetectorState.Set
                : DetectorState.NotSet;
        }
    }

    private static float* Copy(in InputTensor<float> from, nint start, nint length, float* to)
    {
        if (from.Data + start != to)
            new ReadOnlySpan<float>(from.Data + start, (int)length).CopyTo(new Span<float>(to, (int)length));
        return to;
    }

    private ConstraintSettings ReadMethod(in UpdateSettings settings, in ConstraintSettings common)
    {
        switch (link.Bound.Kind)
        {
            case BoundKind.Dependent:
                return common with { KappaFactor = settings.Get<float>("kappa_factor") };
            case BoundKind.WarmStart:
                return common with { WarmStartSteps = settings.Get<long>("warm_start_steps") };
            case BoundKind.InflectionPoint:
                long interval = settings.Get<long>("sample_interval");
                if (interval < 1)
                    throw new OperandException($"'sample_interval' is {interval}, expected 1 or more.");
                return common with
                {
                    SampleInterval = interval,
                    SampleDecay = settings.Get<float>("sample_decay"),
                    MaxWaitSteps = settings.Get<long>("max_wait_steps"),
                };
            default:
                return common;
        }
    }
}
