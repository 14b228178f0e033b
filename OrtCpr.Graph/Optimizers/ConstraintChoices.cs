namespace OrtCpr.Graph.Optimizers;

/// <summary>Measure R(W) that a bound is set on (paper section 4; package argument <c>reg_function</c>).</summary>
public enum Regularizer
{
    /// <summary>Σθ², without a half.</summary>
    L2,
    /// <summary>Σ|θ|.</summary>
    L1,
    /// <summary>Unbiased standard deviation over all elements; 0 for one element or a constant tensor.</summary>
    Std,
    /// <summary>Σ of ½θ² where |θ| &lt; 1, else |θ| − ½.</summary>
    Huber,
}

/// <summary>In which unit a bound is given.</summary>
public enum KappaScale
{
    /// <summary>The sum over all elements, the released package's scale.</summary>
    Sum,
    /// <summary>Per element, the scale of the paper's tables: κ·n is used. The standard deviation has no sum: there both scales are the
    /// same.</summary>
    Mean,
}

/// <summary>Where a step measures R and ∇R.</summary>
public enum EvaluateAt
{
    /// <summary>At the parameter that the base rule has made (the released code).</summary>
    Updated,
    /// <summary>At the parameter before the base rule (the paper's Algorithm 1). Bounds are still set from the updated parameter.</summary>
    Previous,
}
