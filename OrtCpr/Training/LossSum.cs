using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>The loss over several batches, as it would be over one batch of them all: each term weighted by what it divides by.</summary>
internal sealed class LossSum
{
    private readonly IReadOnlyList<LossTerm> _terms;
    private readonly WeightedMean[] _means;
    private WeightedMean _whole;
    private bool _any;

    /// <param name="terms">What the loss is the sum of; empty where that is not known: then each batch counts by its rows.</param>
    public LossSum(IReadOnlyList<LossTerm> terms)
    {
        _terms = terms;
        _means = new WeightedMean[terms.Count];
    }

    /// <summary>The loss; NaN while nothing has been added, 0 where nothing of what was added counts.</summary>
    public double Value => !_any ? double.NaN : _terms.Count == 0 ? _whole.Value : _terms.Select((t, i) => t.Factor * Of(i)).Sum();

    /// <summary>The terms by name; empty where there is one alone.</summary>
    public IReadOnlyDictionary<string, double> Terms => _terms.Count < 2 ? new Dictionary<string, double>()
        : _terms.Select((t, i) => (t.Name, Value: _any ? Of(i) : double.NaN))
            .ToDictionary(t => t.Name, t => t.Value, StringComparer.Ordinal);

    /// <summary>Adds a batch.</summary>
    /// <param name="loss">Its loss.</param>
    /// <param name="figures">The terms' values, then what each divides by; empty where the terms are not known.</param>
    /// <param name="rows">Its first dimension.</param>
    public void Add(double loss, IReadOnlyList<double> figures, long rows)
    {
        _any = true;
        _whole.Add(loss, rows);
        for (int i = 0; i < _means.Length; i++)
        {
            double value = figures[i], weight = figures[_means.Length + i];
            if (_terms[i].IsSum) (_means[i].Sum, _means[i].Weight) = (_means[i].Sum + value, 1);
            else _means[i].Add(value, weight);
        }
    }

    /// <summary>Numbers that add up with those of another sum over other batches.</summary>
    public double[] Parts
    {
        get => [_any ? 1 : 0, _whole.Sum, _whole.Weight, .. _means.SelectMany(m => new[] { m.Sum, m.Weight })];
        set
        {
            _any = value[0] > 0;
            (_whole.Sum, _whole.Weight) = (value[1], value[2]);
            for (int i = 0; i < _means.Length; i++)
            {
                // A sum's weight only says that there is one.
                double weight = _terms[i].IsSum ? Math.Min(1, value[4 + (2 * i)]) : value[4 + (2 * i)];
                (_means[i].Sum, _means[i].Weight) = (value[3 + (2 * i)], weight);
            }
        }
    }

    private double Of(int term) => _means[term].Weight == 0 ? 0 : _means[term].Value;
}
