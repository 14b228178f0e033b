namespace OrtCpr;

/// <summary>A weighted mean in the making: the sum of value·weight, and that of the weights.</summary>
internal struct WeightedMean
{
    /// <summary>Σ value·weight.</summary>
    public double Sum { get; set; }

    /// <summary>Σ weight.</summary>
    public double Weight { get; set; }

    /// <summary>The mean; NaN while nothing has been added.</summary>
    public readonly double Value => Sum / Weight;

    /// <summary>Adds the values of another mean.</summary>
    public void Add(WeightedMean other) => (Sum, Weight) = (Sum + other.Sum, Weight + other.Weight);

    /// <summary>Adds a value.</summary>
    public void Add(double value, double weight)
    {
        Sum += value * weight;
        Weight += weight;
    }
}
