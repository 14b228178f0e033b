using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr;

public sealed partial class OptimizerDriver
{
    /// <summary>λ, κ and what the detector knows, a row a constrained parameter; R is not measured. Waits for the device.</summary>
    public IReadOnlyList<ConstraintInfo> GetConstraints()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Plan.Constrained.Count == 0) return [];
        double[] lambda = ReadRows("lambda"), kappa = ReadRows("kappa"), detector = ReadRows("detector");
        return [.. Plan.Constrained.Select((name, i) =>
            InfoOf(name, lambda[i], kappa[i], detector.AsSpan(i * DetectorState.Columns, DetectorState.Columns)))];
    }

    /// <summary>As <see cref="GetConstraints"/>, with R of each parameter as it is now. Reads each of them; waits for the
    /// device.</summary>
    public IReadOnlyList<ConstraintInfo> MeasureConstraints() => [.. GetConstraints().Select(c =>
    {
        Regularizer regularizer = ConstraintOf(c.Name).Regularizer;
        TensorData value = Get(c.Name);
        double measure = value.Type == ElementType.Float ? regularizer.Measure(value.AsSpan<float>())
            : regularizer.Measure<double>(value.ToDoubles());
        return c with { Measure = measure };
    })];

    /// <summary>Sets every bound that is not set yet to R of its matrix as it is now, as a warm start does after its step.</summary>
    /// <param name="which">Of the matrices under these constraints.</param>
    internal void SetMissingBounds(Predicate<ConstrainNorm> which)
    {
        IReadOnlyList<ConstraintInfo> rows = MeasureConstraints();
        if (rows.Count == 0) return;
        double[] kappa = ReadRows("kappa"), detector = ReadRows("detector");
        for (int i = 0; i < rows.Count; i++)
        {
            if (rows[i].IsSet || !which(ConstraintOf(rows[i].Name))) continue;
            kappa[i] = rows[i].Measure;
            detector[(DetectorState.Columns * i) + DetectorState.StateColumn] = DetectorState.Set;
        }
        WriteRows("kappa", kappa);
        WriteRows("detector", detector);
    }

    /// <summary>One line for the end of a run: <c>bounds set n/P, ever active m/P</c>.</summary>
    public string ConstraintSummary
    {
        get
        {
            IReadOnlyList<ConstraintInfo> rows = GetConstraints();
            return $"bounds set {rows.Count(r => r.IsSet)}/{rows.Count}, ever active {rows.Count(r => r.EverActive)}/{rows.Count}";
        }
    }

    private double[] ReadRows(string kind) => _store.Read(Plan.Find(TensorRole.Rows, null, kind)!.Key).ToDoubles();

    private void WriteRows(string kind, double[] values)
    {
        TensorSlot slot = Plan.Find(TensorRole.Rows, null, kind)!;
        _store.Write(slot.Key, TensorData.From<double>(values, [.. slot.Dimensions]).ConvertTo(slot.Type));
    }

    private ConstrainNorm ConstraintOf(string parameter) => Plan.Optimizer.Groups[Plan.Trained[_indices[parameter]].Group].Constraint!;

    private static ConstraintInfo InfoOf(string name, double lambda, double kappa, ReadOnlySpan<double> detector)
    {
        double state = detector[DetectorState.StateColumn];
        bool isSet = state >= DetectorState.Set;
        return new ConstraintInfo
        {
            Name = name,
            Lambda = lambda,
            Kappa = isSet ? kappa : double.NaN,
            IsSet = isSet,
            EverActive = state >= DetectorState.EverActive,
            Samples = (long)detector[DetectorState.SamplesColumn],
        };
    }
}
