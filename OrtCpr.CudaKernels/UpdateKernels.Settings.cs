using OrtCpr.Cuda;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

// What one thread does for one parameter. The rules of κ and λ are those of the CPU, compiled for the GPU.
internal static unsafe partial class UpdateKernels
{
    private static UpdatePart Read(UpdateOperands o, int i)
    {
        UpdatePart part = default;
        part.Start = ((long*)o.Starts.Address)[i];
        part.Length = ((long*)o.Lengths.Address)[i];
        long index = Integer(o.ParameterIndex, i), group = Integer(o.GroupIndex, i);
        // A place outside of its tensor is no plan's; nothing here can throw, so nothing is touched.
        bool isInside = IsIn(o.Apply, index) && IsIn(o.Step, index) && IsIn(o.LearningRate, group) && part.Start >= 0 && part.Length >= 0
            && part.Start <= o.Parameter.Count - part.Length;
        if (!isInside)
        {
            part.Length = 0;
            return part;
        }
        part.Step = ((long*)o.Step.Address)[index];
        part.Applies = ((byte*)o.Apply.Address)[index];
        part.GradientScale = Number(o.GradientScale, i);
        ReadRule(o, i, ((float*)o.LearningRate.Address)[group], IsIn(o.WeightDecay, group) ? ((float*)o.WeightDecay.Address)[group] : 0,
            ref part);
        if (o.Method < 0 || part.Applies == 0)
            return part;
        part.Row = Integer(o.MatrixIndex, i);
        ConstraintSettings settings = SettingsOf(o, i, group);
        ConstraintState state = StateOf(o, part.Row);
        if (BoundRules.NeedsInitialMeasure(settings, state))
        {
            part.MeasuresInitial = 1;
            state.IsSet = true;
        }
        part.Measures = BoundRules.NeedsMeasure(settings, state, part.Step) ? 1 : 0;
        return part;
    }

    private static void ReadRule(UpdateOperands o, int i, double rate, double decay, ref UpdatePart part)
    {
        part.StepSize = (float)rate;
        part.Decay = (float)(rate * decay);
        if (o.HalfLogBeta1.Address != 0)
        {
            part.StepSize = (float)(rate / DeviceMath.BiasCorrection(Number(o.HalfLogBeta1, i), part.Step));
            part.SecondMomentScale = (float)(1 / Math.Sqrt(DeviceMath.BiasCorrection(Number(o.HalfLogBeta2, i), part.Step)));
            part.First = Number(o.OneMinusBeta1, i);
            part.Second = Number(o.OneMinusBeta2, i);
            part.Third = Number(o.Beta2, i);
            part.Epsilon = Number(o.Epsilon, i);
        }
        else if (o.OneMinusBeta1.Address != 0)
        {
            part.First = Number(o.OneMinusBeta1, i);
            part.Second = Number(o.OneMinusBeta2, i);
        }
        else
        {
            // The first step takes the gradient whole into the buffer.
            bool hasMomentum = o.Momentum.Address != 0, isFirst = part.Step == 1;
            part.Decay = o.CoupledDecay.Address != 0 ? Number(o.CoupledDecay, i) : 0;
            part.Third = hasMomentum ? Number(o.Momentum, i) : 0;
            part.First = isFirst ? 0 : part.Third;
            part.Second = isFirst || !hasMomentum ? 1 : Number(o.OneMinusDampening, i);
        }
    }

    private static ConstraintSettings SettingsOf(UpdateOperands o, int i, long group) => new()
    {
        Method = (BoundKind)o.Method,
        Adaptive = o.Adaptive != 0,
        KappaUpdate = Number(o.KappaUpdate, i),
        Rate = IsIn(o.ConstraintRate, group) ? ((float*)o.ConstraintRate.Address)[group] : 0,
        KappaFactor = o.KappaFactor.Address != 0 ? Number(o.KappaFactor, i) : 0,
        WarmStartSteps = o.WarmStartSteps.Address != 0 ? Integer(o.WarmStartSteps, i) : 0,
        SampleInterval = o.SampleInterval.Address != 0 && Integer(o.SampleInterval, i) > 0 ? Integer(o.SampleInterval, i) : 1,
        SampleDecay = o.SampleDecay.Address != 0 ? Number(o.SampleDecay, i) : 0,
        MaxWaitSteps = o.MaxWaitSteps.Address != 0 ? Integer(o.MaxWaitSteps, i) : 0,
    };

    private static ConstraintState StateOf(UpdateOperands o, long row)
    {
        float* detector = (float*)o.Detector.Address + (row * DetectorState.Columns);
        float flag = detector[DetectorState.StateColumn];
        return new()
        {
            Lambda = ((float*)o.Lambda.Address)[row],
            Kappa = ((float*)o.Kappa.Address)[row],
            Samples = detector[DetectorState.SamplesColumn],
            LastSample = detector[1],
            EarlierSample = detector[2],
            IsSet = flag != DetectorState.NotSet || o.Method == (int)BoundKind.Uniform,
            EverActive = flag > DetectorState.Set,
        };
    }

    private static void Constrain(UpdateOperands o, UpdatePart* part, int i, RegularizerSum initial, RegularizerSum sum)
    {
        ConstraintSettings settings = SettingsOf(o, i, Integer(o.GroupIndex, i));
        ConstraintState state = StateOf(o, part->Row);
        if (part->MeasuresInitial != 0)
            BoundRules.SetFromInitial(settings, ref state, Measures.Value(o.Regularizer, initial));
        double lambda = BoundRules.Advance(settings, ref state, part->Step, Measures.Value(o.Regularizer, sum));
        part->DescentRate = lambda == 0 ? 0 : (float)(settings.Rate * lambda * Measures.DirectionScale(o.Regularizer, sum));
        part->Mean = (float)sum.Mean;
        ((float*)o.NewLambda.Address)[part->Row] = (float)state.Lambda;
        ((float*)o.NewKappa.Address)[part->Row] = (float)state.Kappa;
        float* detector = (float*)o.NewDetector.Address + (part->Row * DetectorState.Columns);
        detector[DetectorState.SamplesColumn] = (float)state.Samples;
        detector[1] = (float)state.LastSample;
        detector[2] = (float)state.EarlierSample;
        detector[DetectorState.StateColumn] = state.EverActive ? DetectorState.EverActive : state.IsSet ? DetectorState.Set
            : DetectorState.NotSet;
    }

    private static bool IsIn(Operand vector, long index) => index >= 0 && index < vector.Count;

    private static float Number(Operand setting, int i) => ((float*)setting.Address)[setting.Count == 1 ? 0 : i];

    private static long Integer(Operand setting, int i) => ((long*)setting.Address)[setting.Count == 1 ? 0 : i];
}
