// Before anything is painted: day or night, as it was last chosen. Without a choice it is what the system prefers.
try {
  const chosen = localStorage.getItem('weir-theme');
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* storage may be forbidden; then nothing is kept */ }
