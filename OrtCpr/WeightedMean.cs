namespace OrtCpr;

// Sum of value·weight and of weights.
internal struct WeightedMean
{
    public double Sum { get; set; }

    public double Weight { get; set; }

    public readonly double Value => Sum / Weight;

    public void Add(double value, double weight)
    {
        Sum += value * weight;
        Weight += weight;
    }
}
