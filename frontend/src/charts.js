// Plots drawn as SVG from the JSON beside them. Colours come from the page, so they follow light and dark.
import * as echarts from 'echarts/core';
import { BarChart, LineChart } from 'echarts/charts';
import { AriaComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';

echarts.use([BarChart, LineChart, AriaComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, SVGRenderer]);

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The library's own tooltip writes style attributes, which the page's policy forbids: we return an element instead.
function tip(points, unit) {
  const box = document.createElement('div');
  box.className = 'plot-tip';
  const head = document.createElement('strong');
  head.textContent = points[0].axisValueLabel ?? points[0].name;
  box.append(head);
  for (const point of points) {
    const line = document.createElement('div');
    const value = Array.isArray(point.value) ? point.value[1] : point.value;
    line.textContent = `${point.seriesName}: ${value}${unit}`;
    box.append(line);
  }
  return box;
}

function options(data) {
  const text = css('--plot-text');
  const line = css('--plot-line');
  const colors = [1, 2, 3, 4].map((number) => css(`--plot-${number}`));
  const unit = data.unit ?? '';
  return {
    color: colors,
    animation: false,
    aria: { enabled: true },
    textStyle: { fontFamily: 'Inter Variable, sans-serif', color: text },
    grid: { left: 8, right: 16, top: data.series.length > 1 ? 40 : 16, bottom: 8, containLabel: true },
    legend: data.series.length > 1 ? { top: 0, left: 0, icon: 'roundRect', itemWidth: 14, itemHeight: 8, textStyle: { color: text } } : undefined,
    tooltip: { trigger: 'axis', formatter: (points) => tip(points, unit), className: 'plot-box', axisPointer: { lineStyle: { color: line } } },
    xAxis: {
      type: 'category', data: data.labels, boundaryGap: data.kind === 'bar',
      axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { color: text, hideOverlap: true },
    },
    yAxis: {
      type: 'value', minInterval: unit ? undefined : 1, max: data.max,
      axisLabel: { color: text, formatter: `{value}${unit}` }, splitLine: { lineStyle: { color: line } },
    },
    series: data.series.map((one, index) => ({
      name: one.name, type: data.kind, data: one.values, stack: data.stacked ? 'all' : undefined,
      showSymbol: false, smooth: 0.2, barMaxWidth: 26, cursor: 'default',
      lineStyle: { width: 2.5, type: one.dashed ? 'dashed' : 'solid' },
      itemStyle: data.kind === 'bar' ? { borderRadius: [3, 3, 0, 0] } : undefined,
      areaStyle: data.kind === 'line' && !one.dashed ? { opacity: 0.12 } : undefined,
      markLine: index === 0 && data.limit !== undefined ? {
        symbol: 'none', silent: true, lineStyle: { color: css('--plot-limit'), type: 'dashed' },
        label: { formatter: data.limit_label, position: 'insideEndTop', color: css('--plot-limit') },
        data: [{ yAxis: data.limit }],
      } : undefined,
    })),
  };
}

function draw(figure) {
  const source = figure.querySelector('script[type="application/json"]');
  const place = figure.querySelector('.plot');
  if (!source || !place) return;
  echarts.getInstanceByDom(place)?.dispose();
  const plot = echarts.init(place, null, { renderer: 'svg' });
  plot.setOption(options(JSON.parse(source.textContent)));
}

const drawAll = (root = document) => root.querySelectorAll('[data-plot]').forEach(draw);
document.addEventListener('theme', () => drawAll());
document.addEventListener('htmx:afterSettle', (event) => {
  drawAll(event.target);
  if (event.target.matches?.('[data-plot]')) draw(event.target);
});
let waiting;
window.addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
drawAll();
